// TcpListener: a non-blocking listening socket, TCP or unix, and what accepting from it can meet.
// Made at start on one thread; then several may accept, each from an epoll set of its own.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <variant>

#include "common/base/result.h"
#include "common/net/passed_sockets.h"
#include "common/net/peer_address.h"
#include "common/net/socket_address.h"
#include "common/net/tcp_socket.h"
#include "common/net/unix_socket_file.h"
#include "common/platform/unique_fd.h"

namespace sluice {

class TcpListener {
 public:
  struct Accepted {
    TcpSocket socket;
    PeerAddress peer;  // kUnixPeer on a unix socket
  };
  enum class AcceptFault : unsigned char {
    none_waiting,
    // None are left but those kept for others than connections; one waiting connection was closed
    // to make that clear to its peer.
    out_of_descriptors,
    transient,  // the peer gave up, or the network; try the next
  };

  // Resolves `host` (a name or an address; numeric is tried first), binds the first of its
  // addresses, listens. Port 0 takes a free one. The error names host, port and what to do.
  static Result<TcpListener> listen(std::string_view host, std::uint16_t port);
  // An IPv6 address takes no IPv4. The error's code is the errno.
  static Result<TcpListener> listen(const SocketAddress& address);
  // UnixSocketFile says how.
  static Result<TcpListener> listen_unix(const std::string& path);
  // A socket that listens already; its name in the file system, if any, is left alone.
  static Result<TcpListener> adopt(PassedSockets::Passed passed);

  // Never blocks. Thread-safe. Keepalive is for TCP alone.
  std::variant<Accepted, AcceptFault> accept(const KeepaliveOptions& keepalive);
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] std::uint16_t port() const { return bound_.port; }  // 0 of a unix socket
  // What was bound: "192.0.2.1:8080", "[::]:8080" or "unix:/run/sluice/xml.sock".
  [[nodiscard]] std::string address() const;

 private:
  struct Reserve {  // given up for a moment where descriptors have run out
    std::mutex mutex;
    UniqueFd fd;
  };
  Status prepare();

  UniqueFd fd_;
  UnixSocketFile file_;
  std::unique_ptr<Reserve> reserve_;
  PeerAddress bound_;
  std::string unix_path_;
};

}  // namespace sluice
