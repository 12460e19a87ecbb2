// ClientSocket: an accepted connection, plain or TLS, with one way to read, write and end it.
// Non-blocking, for a level-triggered poller. Thread-compatible.
//
// Over TLS close_notify stands for FIN (RFC 8446, 6.1): a FIN without it is an abnormal end, as a
// reset is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "common/net/tcp_socket.h"
#include "common/net/tls_session.h"

namespace sluice {

class ClientSocket {
 public:
  ClientSocket() = default;
  explicit ClientSocket(TcpSocket socket) : socket_(std::move(socket)) {}

  [[nodiscard]] int fd() const { return socket_.fd(); }
  [[nodiscard]] bool open() const { return socket_.open(); }
  TcpSocket& plain() { return socket_; }

  // From here on all is TLS, beginning with the handshake. Throws std::bad_alloc.
  void start_tls(std::shared_ptr<const TlsContext> context);
  [[nodiscard]] bool is_tls() const { return tls_.has_value(); }
  // Of a socket that is TLS.
  TlsHandshakeOutcome handshake() { return tls_->handshake(); }
  [[nodiscard]] const TlsSession& tls() const { return *tls_; }

  struct Read {
    enum class Kind : std::uint8_t { bytes, would_block, finished, reset };
    Kind kind = Kind::would_block;
    std::size_t bytes = 0;
    bool wants_write = false;  // with would_block: read again once it is writable
    std::string reason;        // with reset, where there is more to say than that
  };
  Read read(std::span<std::byte> into);
  // After a read that gave bytes: there is more, and the poller will not tell of it.
  [[nodiscard]] bool has_pending() const { return tls_ && tls_->has_pending(); }

  // Where not all was taken, the next write begins with what was not, and is no shorter.
  WriteOutcome write(std::span<const std::byte> bytes);

  // FIN, and close_notify before it; then it may be closed, and nothing else. False: not yet, again
  // once it is writable.
  [[nodiscard]] bool send_fin();
  void close_with_fin() { socket_.close_with_fin(); }
  void close_with_reset();

 private:
  TcpSocket socket_;
  std::optional<TlsSession> tls_;
};

}  // namespace sluice
