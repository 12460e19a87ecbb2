#include "common/net/peer_address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace sluice {
namespace {

constexpr std::string_view kUnixText = "unix";

}  // namespace

bool is_unix(const PeerAddress& peer) { return peer.ip == kUnixPeer.ip; }

bool is_mapped_v4(const IpBytes& ip) {
  constexpr std::array<std::uint8_t, 12> kPrefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
  return std::equal(kPrefix.begin(), kPrefix.end(), ip.begin());
}

std::string ip_to_string(const PeerAddress& peer) {
  if (is_unix(peer)) {
    return std::string(kUnixText);
  }
  std::array<char, INET6_ADDRSTRLEN> text{};
  const bool v4 = is_mapped_v4(peer.ip);
  inet_ntop(v4 ? AF_INET : AF_INET6, peer.ip.data() + (v4 ? 12 : 0), text.data(), text.size());
  return text.data();
}

std::string to_string(const PeerAddress& peer) {
  std::string ip = ip_to_string(peer);
  if (is_unix(peer)) {
    return ip;
  }
  const std::string port = std::to_string(peer.port);
  return is_mapped_v4(peer.ip) ? ip + ":" + port : "[" + ip + "]:" + port;
}

std::optional<IpBytes> parse_ip(std::string_view text) {
  if (text.size() >= INET6_ADDRSTRLEN || text.find('\0') != std::string_view::npos) {
    return std::nullopt;  // a C string would end at the NUL
  }
  const std::string copy(text);
  IpBytes ip{};
  if (text.find(':') != std::string_view::npos) {
    return ::inet_pton(AF_INET6, copy.c_str(), ip.data()) == 1 ? std::optional(ip) : std::nullopt;
  }
  ip[10] = ip[11] = 0xFF;
  return ::inet_pton(AF_INET, copy.c_str(), ip.data() + 12) == 1 ? std::optional(ip) : std::nullopt;
}

std::optional<PeerAddress> parse_peer_address(std::string_view text) {
  if (text == kUnixText) {
    return kUnixPeer;
  }
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    return std::nullopt;
  }
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  if (bracketed) {
    host = host.substr(1, host.size() - 2);
  }
  const auto ip = parse_ip(host);
  if (!ip || bracketed != (host.find(':') != std::string_view::npos)) {
    return std::nullopt;
  }
  PeerAddress peer{*ip, 0};
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), peer.port);
  if (error != std::errc() || end != port.data() + port.size()) {
    return std::nullopt;
  }
  return peer;
}

}  // namespace sluice
