// The address of a peer, IPv4 as IPv4-mapped IPv6 (RFC 4291, 2.5.5.2), as it also lies on disk.
//
// A peer on a unix socket has no address. It stands as ff00::756e:6978 ("unix"), port 0: multicast
// of the reserved scope 0 (RFC 4291, 2.7.1), which no TCP peer can have and parse_proxy_header()
// takes from nobody. All zero stands for "not known", as of replayed events.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sluice {

using IpBytes = std::array<std::uint8_t, 16>;

struct PeerAddress {
  IpBytes ip{};            // network order
  std::uint16_t port = 0;  // host order
  bool operator==(const PeerAddress&) const = default;
};

inline constexpr PeerAddress kUnixPeer{{0xFF, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 'u', 'n', 'i', 'x'},
                                       0};

bool is_unix(const PeerAddress& peer);
bool is_mapped_v4(const IpBytes& ip);

// "192.0.2.1:5000", "[2001:db8::1]:5000" or "unix".
std::string to_string(const PeerAddress& peer);
// What to_string wrote.
std::optional<PeerAddress> parse_peer_address(std::string_view text);
// "192.0.2.1", "2001:db8::1" or "unix".
std::string ip_to_string(const PeerAddress& peer);
// An address as numbers, without brackets, scope or port; IPv4 with four parts.
std::optional<IpBytes> parse_ip(std::string_view text);

}  // namespace sluice
