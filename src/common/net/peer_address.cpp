#include "common/net/peer_address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace sluice {
namespace {

bool is_mapped_v4(const PeerAddress& peer) {
  constexpr std::array<std::uint8_t, 12> kPrefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
  return std::equal(kPrefix.begin(), kPrefix.end(), peer.ip.begin());
}

}  // namespace

std::string ip_to_string(const PeerAddress& peer) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const bool v4 = is_mapped_v4(peer);
  inet_ntop(v4 ? AF_INET : AF_INET6, peer.ip.data() + (v4 ? 12 : 0), text.data(), text.size());
  return text.data();
}

std::string to_string(const PeerAddress& peer) {
  const std::string ip = ip_to_string(peer);
  const std::string port = std::to_string(peer.port);
  return is_mapped_v4(peer) ? ip + ":" + port : "[" + ip + "]:" + port;
}

std::optional<PeerAddress> parse_peer_address(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    return std::nullopt;
  }
  std::string ip(text.substr(0, colon));
  const std::string_view port = text.substr(colon + 1);
  PeerAddress peer;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), peer.port);
  if (error != std::errc() || end != port.data() + port.size()) {
    return std::nullopt;
  }
  if (ip.starts_with('[') && ip.ends_with(']')) {
    ip = ip.substr(1, ip.size() - 2);
  } else {
    ip.insert(0, "::ffff:");
  }
  return ::inet_pton(AF_INET6, ip.c_str(), peer.ip.data()) == 1 ? std::optional(peer)
                                                                : std::nullopt;
}

}  // namespace sluice
