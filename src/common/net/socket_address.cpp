#include "common/net/socket_address.h"

#include <netdb.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>

namespace sluice {

Result<std::vector<SocketAddress>> resolve(std::string_view host, std::uint16_t port) {
  const std::string where = std::string(host) + ":" + std::to_string(port);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  }
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int failed = ::getaddrinfo(host.empty() ? nullptr : std::string(host).c_str(),
                                   std::to_string(port).c_str(), &hints, &found);
  if (failed != 0) {
    return fatal("listen on " + where + ": " + ::gai_strerror(failed) +
                 " (set an address of this machine, 0.0.0.0 for all of IPv4, :: of IPv6)");
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned(found, &::freeaddrinfo);
  std::vector<SocketAddress> addresses;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    SocketAddress address;
    address.bytes = std::min<socklen_t>(one->ai_addrlen, sizeof address.storage);
    std::memcpy(&address.storage, one->ai_addr, address.bytes);
    const bool known = std::any_of(addresses.begin(), addresses.end(), [&](const auto& earlier) {
      return to_peer(earlier) == to_peer(address);
    });
    if (!known) {
      addresses.push_back(address);
    }
  }
  return addresses;
}

void set_port(SocketAddress& address, std::uint16_t port) {
  // Two bytes behind the family in both (sin_port, sin6_port), in network order.
  static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));
  const std::uint16_t network_order = htons(port);
  std::memcpy(reinterpret_cast<char*>(&address.storage) + offsetof(sockaddr_in, sin_port),
              &network_order, sizeof network_order);
}

PeerAddress to_peer(const SocketAddress& address) {
  PeerAddress peer;
  if (address.storage.ss_family == AF_UNIX) {
    return kUnixPeer;
  }
  if (address.storage.ss_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, &address.storage, sizeof v6);
    std::memcpy(peer.ip.data(), &v6.sin6_addr, peer.ip.size());
    peer.port = ntohs(v6.sin6_port);
  } else {
    sockaddr_in v4{};
    std::memcpy(&v4, &address.storage, sizeof v4);
    peer.ip[10] = peer.ip[11] = 0xFF;
    std::memcpy(peer.ip.data() + 12, &v4.sin_addr, 4);
    peer.port = ntohs(v4.sin_port);
  }
  return peer;
}

}  // namespace sluice
