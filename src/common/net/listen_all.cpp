#include "common/net/listen_all.h"

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

namespace sluice {
namespace {

constexpr std::string_view kUnixScheme = "unix:";
constexpr std::string_view kSystemd = "systemd";
constexpr std::string_view kSystemdScheme = "systemd:";
// The free port that the first address got may be taken on the next one.
constexpr int kPortsTried = 16;

using Listeners = std::vector<TcpListener>;

bool is_tcp(std::string_view entry) {
  return !entry.starts_with(kUnixScheme) && entry != kSystemd && !entry.starts_with(kSystemdScheme);
}

Result<std::vector<std::string>> entries_of(std::string_view hosts) {
  constexpr std::string_view kSpace = " \t";
  std::vector<std::string> entries;
  for (std::size_t begin = 0; begin <= hosts.size();) {
    const std::size_t end = std::min(hosts.find(',', begin), hosts.size());
    std::string_view entry = hosts.substr(begin, end - begin);
    begin = end + 1;
    const std::size_t first = entry.find_first_not_of(kSpace);
    if (first == std::string_view::npos) {
      return fatal("listen on \"" + std::string(hosts) +
                   "\": an address is missing (0.0.0.0 is all of IPv4, :: all of IPv6)");
    }
    entry = entry.substr(first, entry.find_last_not_of(kSpace) - first + 1);
    if (entries.size() == kListenAddressesMax) {
      return fatal("listen on " + std::string(entry) + ": more than " +
                   std::to_string(kListenAddressesMax) + " addresses");
    }
    entries.emplace_back(entry);
  }
  return entries;
}

Status listen_passed(std::string_view entry, PassedSockets& passed, Listeners& listeners) {
  const std::string_view name =
      entry == kSystemd ? std::string_view() : entry.substr(kSystemdScheme.size());
  const std::string there = passed.names();
  auto taken = entry == kSystemdScheme ? std::vector<PassedSockets::Passed>() : passed.take(name);
  if (taken.empty()) {
    return fatal(
        "listen on " + std::string(entry) + ": systemd passed no such socket (" +
        (there.empty() ? "none is left: is the .socket unit started?" : "there are: " + there) +
        "; FileDescriptorName= names them)");
  }
  for (PassedSockets::Passed& one : taken) {
    auto listener = TcpListener::adopt(std::move(one));
    if (!listener) {
      return listener.error();
    }
    listeners.push_back(std::move(*listener));
  }
  return {};
}

// On all addresses of `host`. Of a name's some may be none of this machine's, as ::1 where IPv6 is
// off. Port 0 is the one that the first listener has got.
Status listen_tcp(std::string_view host, std::uint16_t port, Listeners& listeners) {
  auto addresses = resolve(host, port);
  if (!addresses) {
    return addresses.error();
  }
  Status last;
  std::size_t listening = 0;
  for (SocketAddress& address : *addresses) {
    if (port == 0 && !listeners.empty()) {
      set_port(address, listeners.front().port());
    }
    auto listener = TcpListener::listen(address);
    if (listener) {
      listeners.push_back(std::move(*listener));
      ++listening;
      continue;
    }
    last = listener.error();
    if (last.error().code != EADDRNOTAVAIL && last.error().code != EAFNOSUPPORT) {
      return last;
    }
  }
  return listening > 0 ? Status() : last;
}

Result<Listeners> listen_tcp_all(const std::vector<std::string>& entries, std::uint16_t port) {
  Listeners listeners;
  for (const std::string& entry : entries) {
    if (!is_tcp(entry)) {
      continue;
    }
    const std::size_t before = listeners.size();
    if (const Status status = listen_tcp(entry, port, listeners); !status) {
      Error error = status.error();
      if (error.code == EADDRINUSE && before > 0) {
        error.message += " (or an earlier address of the list covers this one)";
      }
      return error;
    }
  }
  return listeners;
}

}  // namespace

Result<std::vector<TcpListener>> listen_all(std::string_view hosts, std::uint16_t port,
                                            PassedSockets& passed) {
  const auto entries = entries_of(hosts);
  if (!entries) {
    return entries.error();
  }
  auto tcp = listen_tcp_all(*entries, port);
  for (int tried = 1; !tcp && port == 0 && tcp.error().code == EADDRINUSE && tried < kPortsTried;
       ++tried) {
    tcp = listen_tcp_all(*entries, port);
  }
  if (!tcp) {
    return tcp.error();
  }
  Listeners listeners = std::move(*tcp);
  for (const std::string& entry : *entries) {
    if (entry.starts_with(kUnixScheme)) {
      auto listener = TcpListener::listen_unix(entry.substr(kUnixScheme.size()));
      if (!listener) {
        return listener.error();
      }
      listeners.push_back(std::move(*listener));
    } else if (!is_tcp(entry)) {
      if (const Status status = listen_passed(entry, passed, listeners); !status) {
        return status.error();
      }
    }
  }
  return listeners;
}

}  // namespace sluice
