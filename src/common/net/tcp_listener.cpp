#include "common/net/tcp_listener.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

namespace sluice {
namespace {

constexpr int kBacklog = 1024;

// What stays for the spool, uploads and the admin server; a quarter where the limit is small.
constexpr rlim_t kDescriptorsKept = 128;

// Descriptors are given lowest first: all below this one are taken.
bool leaves_too_few(int fd) {
  rlimit limit{};
  return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
         static_cast<rlim_t>(fd) + std::min(kDescriptorsKept, limit.rlim_cur / 4) >= limit.rlim_cur;
}

UniqueFd open_reserve() { return UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC)); }

UniqueFd open_socket(int family) {
  return UniqueFd(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

void set_option(int fd, int level, int option, int value) {
  // Best effort: a kernel that lacks one of these still serves.
  (void)::setsockopt(fd, level, option, &value, sizeof value);
}

// A peer that is silent is asked after `idle`; one that does not answer, or does not acknowledge
// what we sent, is given up after as long as the questions take.
void apply_keepalive(int fd, const KeepaliveOptions& keepalive) {
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, static_cast<int>(keepalive.idle.count()));
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, static_cast<int>(keepalive.interval.count()));
  set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, keepalive.probes);
  const auto silent = keepalive.idle + keepalive.probes * keepalive.interval;
  set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT,
             static_cast<int>(std::chrono::milliseconds(silent).count()));
}

// A reply is whole when it is written, and its client waits for it: with Nagle's algorithm one
// behind another would wait for the client's acknowledgement, which its kernel may hold for 40 ms.
void send_at_once(int fd) { set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1); }

std::string advice(int code, std::uint16_t port) {
  switch (code) {
    case EADDRINUSE:
      return " (another process listens there: stop it or set another port)";
    case EACCES:
      return port < 1024 ? " (ports below 1024 need CAP_NET_BIND_SERVICE: set another port)"
                         : " (this process may not listen there: set another port)";
    case EADDRNOTAVAIL:
      return " (this machine has no such address)";
    case EAFNOSUPPORT:
      return " (this machine has no such protocol: leave the address out)";
    default:
      return "";
  }
}

Error failed(const std::string& where, int code, std::uint16_t port) {
  Error error = system_error("listen on " + where, code);
  error.message += advice(code, port);
  return error;
}

}  // namespace

Result<TcpListener> TcpListener::listen(std::string_view host, std::uint16_t port) {
  const auto addresses = resolve(host, port);
  return addresses ? listen(addresses->front()) : Result<TcpListener>(addresses.error());
}

Result<TcpListener> TcpListener::listen(const SocketAddress& address) {
  const PeerAddress wanted = to_peer(address);
  const std::string where = to_string(wanted);
  TcpListener listener;
  listener.fd_ = open_socket(address.storage.ss_family);
  if (!listener.fd_.valid()) {
    return failed(where, errno, wanted.port);
  }
  set_option(listener.fd(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (address.storage.ss_family == AF_INET6) {
    // So that "0.0.0.0" and "::" can be had side by side, whatever net.ipv6.bindv6only says.
    set_option(listener.fd(), IPPROTO_IPV6, IPV6_V6ONLY, 1);
  }
  if (::bind(listener.fd(), reinterpret_cast<const sockaddr*>(&address.storage), address.bytes) !=
          0 ||
      ::listen(listener.fd(), kBacklog) != 0) {
    return failed(where, errno, wanted.port);
  }
  if (const Status status = listener.prepare(); !status) {
    return status.error();
  }
  return listener;
}

Result<TcpListener> TcpListener::listen_unix(const std::string& path) {
  TcpListener listener;
  listener.fd_ = open_socket(AF_UNIX);
  if (!listener.fd_.valid()) {
    return failed("unix:" + path, errno, 0);
  }
  auto file = UnixSocketFile::listen(listener.fd(), path, kBacklog);
  if (!file) {
    return file.error();
  }
  listener.file_ = std::move(*file);
  if (const Status status = listener.prepare(); !status) {
    return status.error();
  }
  return listener;
}

Result<TcpListener> TcpListener::adopt(PassedSockets::Passed passed) {
  const int fd = passed.fd.get();
  const bool listens = ::sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) > 0;
  const bool known = ::sd_is_socket(fd, AF_INET, 0, -1) > 0 ||
                     ::sd_is_socket(fd, AF_INET6, 0, -1) > 0 ||
                     ::sd_is_socket(fd, AF_UNIX, 0, -1) > 0;
  if (!listens || !known) {
    return fatal("listen on systemd:" + passed.name +
                 ": what was passed is no listening stream socket (in its .socket unit: "
                 "ListenStream=, Accept=no)");
  }
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) {
    return failed("systemd:" + passed.name, errno, 0);
  }
  TcpListener listener;
  listener.fd_ = std::move(passed.fd);
  if (const Status status = listener.prepare(); !status) {
    return status.error();
  }
  return listener;
}

// What all have that listen.
Status TcpListener::prepare() {
  // What is accepted inherits it: a kill between accept and the first read is a reset, too.
  const linger reset_on_close{1, 0};
  (void)::setsockopt(fd(), SOL_SOCKET, SO_LINGER, &reset_on_close, sizeof reset_on_close);
  SocketAddress bound;
  bound.bytes = sizeof bound.storage;
  if (::getsockname(fd(), reinterpret_cast<sockaddr*>(&bound.storage), &bound.bytes) != 0) {
    return system_error("the address of a listening socket", errno);
  }
  bound_ = to_peer(bound);
  if (is_unix(bound_)) {
    sockaddr_un name{};
    std::memcpy(&name, &bound.storage, std::min<std::size_t>(bound.bytes, sizeof name));
    unix_path_.assign(name.sun_path, ::strnlen(name.sun_path, sizeof name.sun_path));
  }
  reserve_ = std::make_unique<Reserve>();
  reserve_->fd = open_reserve();
  return {};
}

std::variant<TcpListener::Accepted, TcpListener::AcceptFault> TcpListener::accept(
    const KeepaliveOptions& keepalive) {
  SocketAddress peer;
  peer.bytes = sizeof peer.storage;
  UniqueFd fd(::accept4(fd_.get(), reinterpret_cast<sockaddr*>(&peer.storage), &peer.bytes,
                        SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (fd.valid() && leaves_too_few(fd.get())) {
    TcpSocket(std::move(fd)).close_with_reset();
    return AcceptFault::out_of_descriptors;
  }
  if (fd.valid()) {
    if (peer.storage.ss_family != AF_UNIX) {
      apply_keepalive(fd.get(), keepalive);
      send_at_once(fd.get());
    }
    return Accepted{TcpSocket(std::move(fd)), to_peer(peer)};
  }
  if (errno == EAGAIN || errno == EWOULDBLOCK) {
    return AcceptFault::none_waiting;
  }
  if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
    // The waiting connection would keep the listener readable for ever: take and close it. If
    // another thread had it meanwhile, there is none to take, and this one must not wait for it.
    const std::scoped_lock lock(reserve_->mutex);
    reserve_->fd.reset();
    UniqueFd turned_away(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    TcpSocket(std::move(turned_away)).close_with_reset();
    reserve_->fd = open_reserve();
    return AcceptFault::out_of_descriptors;
  }
  return AcceptFault::transient;
}

std::string TcpListener::address() const {
  return is_unix(bound_) ? "unix:" + unix_path_ : to_string(bound_);
}

}  // namespace sluice
