// The address of a peer, IPv4 as IPv4-mapped IPv6 (RFC 4291, 2.5.5.2), as it also lies on disk.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sluice {

struct PeerAddress {
  std::array<std::uint8_t, 16> ip{};  // network order
  std::uint16_t port = 0;             // host order
  bool operator==(const PeerAddress&) const = default;
};

// "192.0.2.1:5000" or "[2001:db8::1]:5000".
std::string to_string(const PeerAddress& peer);
// What to_string wrote.
std::optional<PeerAddress> parse_peer_address(std::string_view text);
// "192.0.2.1" or "2001:db8::1".
std::string ip_to_string(const PeerAddress& peer);

}  // namespace sluice
