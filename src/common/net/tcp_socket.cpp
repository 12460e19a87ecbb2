#include "common/net/tcp_socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

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

PeerAddress to_peer(const sockaddr_storage& address) {
  PeerAddress peer;
  if (address.ss_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, &address, sizeof v6);
    std::memcpy(peer.ip.data(), &v6.sin6_addr, peer.ip.size());
    peer.port = ntohs(v6.sin6_port);
  } else {
    sockaddr_in v4{};
    std::memcpy(&v4, &address, sizeof v4);
    peer.ip[10] = peer.ip[11] = 0xFF;
    std::memcpy(peer.ip.data() + 12, &v4.sin_addr, 4);
    peer.port = ntohs(v4.sin_port);
  }
  return peer;
}

void set_option(int fd, int level, int option, int value) {
  // Best effort: a kernel that lacks one of these still serves.
  (void)::setsockopt(fd, level, option, &value, sizeof value);
}

void apply_keepalive(int fd, const KeepaliveOptions& keepalive) {
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, static_cast<int>(keepalive.idle.count()));
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, static_cast<int>(keepalive.interval.count()));
  set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, keepalive.probes);
  const auto silent = keepalive.idle + keepalive.probes * keepalive.interval;
  set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT,
             static_cast<int>(std::chrono::milliseconds(silent).count()));
}

std::string advice(int code, std::uint16_t port) {
  if (code == EADDRINUSE) {
    return " (another process listens there: stop it or set another port)";
  }
  if (code == EACCES && port < 1024) {
    return " (ports below 1024 need CAP_NET_BIND_SERVICE: set another port)";
  }
  if (code == EADDRNOTAVAIL) {
    return " (this machine has no such address)";
  }
  return "";
}

}  // namespace

ReadOutcome TcpSocket::read(std::span<std::byte> into) {
  for (;;) {
    const ssize_t got = ::recv(fd_.get(), into.data(), into.size(), 0);
    if (got > 0) {
      return {ReadOutcome::Kind::bytes, static_cast<std::size_t>(got)};
    }
    if (got == 0) {
      return {ReadOutcome::Kind::finished, 0};
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return {ReadOutcome::Kind::would_block, 0};
    }
    if (errno != EINTR) {
      return {ReadOutcome::Kind::reset, 0};
    }
  }
}

TcpSocket::TcpSocket(UniqueFd fd) : fd_(std::move(fd)) { set_reset_on_close(true); }

void TcpSocket::set_reset_on_close(bool on) {
  const linger option{on ? 1 : 0, 0};
  (void)::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &option, sizeof option);
}

void TcpSocket::close_with_fin() {
  set_reset_on_close(false);
  fd_.reset();
}

void TcpSocket::close_with_reset() { fd_.reset(); }

Result<TcpListener> TcpListener::listen(std::string_view host, std::uint16_t port) {
  const std::string where = std::string(host) + ":" + std::to_string(port);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int failed = ::getaddrinfo(host.empty() ? nullptr : std::string(host).c_str(),
                                   std::to_string(port).c_str(), &hints, &found);
  if (failed != 0) {
    return fatal("listen on " + where + ": " + ::gai_strerror(failed));
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned(found, &::freeaddrinfo);
  TcpListener listener;
  listener.fd_ =
      UniqueFd(::socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!listener.fd_.valid()) {
    return system_error("listen on " + where, errno);
  }
  set_option(listener.fd(), SOL_SOCKET, SO_REUSEADDR, 1);
  // What is accepted inherits it: a kill between accept and the first read is a reset, too.
  const linger reset_on_close{1, 0};
  (void)::setsockopt(listener.fd(), SOL_SOCKET, SO_LINGER, &reset_on_close, sizeof reset_on_close);
  if (::bind(listener.fd(), found->ai_addr, found->ai_addrlen) != 0 ||
      ::listen(listener.fd(), kBacklog) != 0) {
    const int code = errno;
    Error error = system_error("listen on " + where, code);
    error.message += advice(code, port);
    return error;
  }
  sockaddr_storage bound{};
  socklen_t length = sizeof bound;
  if (::getsockname(listener.fd(), reinterpret_cast<sockaddr*>(&bound), &length) != 0) {
    return system_error("listen on " + where, errno);
  }
  listener.bound_ = to_peer(bound);
  listener.port_ = listener.bound_.port;
  listener.reserve_ = open_reserve();
  return listener;
}

std::variant<TcpListener::Accepted, TcpListener::AcceptFault> TcpListener::accept(
    const KeepaliveOptions& keepalive) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  UniqueFd fd(::accept4(fd_.get(), reinterpret_cast<sockaddr*>(&address), &length,
                        SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (fd.valid() && leaves_too_few(fd.get())) {
    TcpSocket(std::move(fd)).close_with_reset();
    return AcceptFault::out_of_descriptors;
  }
  if (fd.valid()) {
    apply_keepalive(fd.get(), keepalive);
    return Accepted{TcpSocket(std::move(fd)), to_peer(address)};
  }
  if (errno == EAGAIN || errno == EWOULDBLOCK) {
    return AcceptFault::none_waiting;
  }
  if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
    // The waiting connection would keep the listener readable for ever: take and close it.
    reserve_.reset();
    UniqueFd turned_away(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    TcpSocket(std::move(turned_away)).close_with_reset();
    reserve_ = open_reserve();
    return AcceptFault::out_of_descriptors;
  }
  return AcceptFault::transient;
}

std::string TcpListener::address() const { return to_string(bound_); }

}  // namespace sluice
