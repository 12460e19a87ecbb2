// listen_all: the listeners of a list of addresses as settings give it. At start, on one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/net/passed_sockets.h"
#include "common/net/tcp_listener.h"

namespace sluice {

inline constexpr std::size_t kListenAddressesMax = 64;

// Listens on each of `hosts`, apart by commas; never on none:
//   0.0.0.0, ::, 127.0.0.1     an address; IPv6 takes no IPv4
//   localhost                  a name: all its addresses that this machine has
//   unix:/run/sluice/xml.sock  a unix socket (UnixSocketFile)
//   systemd:NAME               what is passed under that name
//   systemd                    what is passed and not yet taken
// All TCP addresses but those passed get one port, also where `port` is 0. Blocks while names are
// looked up. Errors are fatal, name the entry and say what to do; then nothing listens.
Result<std::vector<TcpListener>> listen_all(std::string_view hosts, std::uint16_t port,
                                            PassedSockets& passed);

}  // namespace sluice
