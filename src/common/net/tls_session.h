// TlsSession: the server's side of one TLS connection over a non-blocking socket that somebody
// else owns and polls (level-triggered). Thread-compatible; no call blocks.
//
// OpenSSL reads and writes the socket itself, through a BIO of ours that receives with recv and
// sends with MSG_NOSIGNAL: no SIGPIPE, whatever the process does about that signal, and nothing
// is copied on the way. An idle session holds no record buffer. OpenSSL 3.0 takes about 14 KiB for
// one, 19 KiB with a client's certificate, 35 KiB where a record has come in part, and 45 KiB
// during the handshake.
#pragma once

#include <openssl/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "common/net/tls_context.h"

namespace sluice {

// A reason is one line that names the cause; what the peer chose is in it only quoted.
struct TlsHandshakeOutcome {
  enum class Kind : std::uint8_t {
    done,
    want_read,
    want_write,
    closed,  // the peer went away before its first byte, as health probes do: no fault
    failed,
  };
  Kind kind = Kind::want_read;
  std::string reason;  // of failed
};

struct TlsReadOutcome {
  enum class Kind : std::uint8_t {
    bytes,
    would_block,
    wants_write,  // to read on, TLS has to write first: read again when the socket is writable
    finished,     // close_notify: the peer has said all; what is still to say to it can be written
    truncated,    // FIN without close_notify: cut, by anybody on the way
    reset,        // by the peer, or the network
    failed,
  };
  Kind kind = Kind::would_block;
  std::size_t bytes = 0;
  std::string reason;  // of truncated, reset and failed
};

struct TlsWriteOutcome {
  enum class Kind : std::uint8_t {
    bytes,        // the first `bytes` were taken; fewer than all: the rest would block
    would_block,  // none
    failed,
  };
  Kind kind = Kind::would_block;
  std::size_t bytes = 0;
  std::string reason;  // of failed
};

enum class TlsShutdown : std::uint8_t {
  sent,
  would_block,  // again when the socket is writable
  failed,
};

class TlsSession {
 public:
  // `fd` stays open until the session is gone. Throws std::bad_alloc.
  TlsSession(std::shared_ptr<const TlsContext> context, int fd);
  TlsSession(TlsSession&&) noexcept;
  TlsSession& operator=(TlsSession&&) noexcept;
  ~TlsSession();

  // Again, when the socket is readable or writable as wanted, until it is done, closed or failed.
  // Where it failed, the peer was sent an alert if there was one to send.
  TlsHandshakeOutcome handshake();

  // After the handshake only, so that nothing is read of a client that was not let in. Fills
  // `into` (not empty) from as many records as there are. An end comes after the bytes before it,
  // and comes again when asked again.
  TlsReadOutcome read(std::span<std::byte> into);
  // After a handshake that is done, and a read that gave bytes: there is more (bytes, or the end),
  // and the poller will not tell of it. False after all others.
  [[nodiscard]] bool has_pending() const;

  // After the handshake only. Where not all was taken, the next write() begins with what was not,
  // and is no shorter (the buffer may be another): part of it may be in a record already.
  TlsWriteOutcome write(std::span<const std::byte> bytes);

  // Sends close_notify, once all is written. A broken session cannot: its end is a reset.
  TlsShutdown shutdown();

  [[nodiscard]] bool established() const;
  // The name by which the client was let in; "" where no certificate is asked for.
  [[nodiscard]] std::string_view client_name() const;
  // "TLSv1.3", "TLS_AES_256_GCM_SHA384"; after the handshake.
  [[nodiscard]] std::string_view version() const;
  [[nodiscard]] std::string_view cipher() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sluice
