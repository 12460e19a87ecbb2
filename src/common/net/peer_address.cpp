#include "common/net/peer_address.h"

#include <arpa/inet.h>

#include <algorithm>

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

}  // namespace sluice
