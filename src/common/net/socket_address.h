// SocketAddress: an address as the kernel takes it, and what a host of the settings resolves to.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/net/peer_address.h"

namespace sluice {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t bytes = 0;
};

// To listen on: all addresses of a name or the one that `host` is, without doubles; never none.
// IPv6 with brackets or without. Blocks while a name is looked up. The error (fatal) names host and
// port.
Result<std::vector<SocketAddress>> resolve(std::string_view host, std::uint16_t port);

void set_port(SocketAddress& address, std::uint16_t port);  // of IPv4 or IPv6
PeerAddress to_peer(const SocketAddress& address);

}  // namespace sluice
