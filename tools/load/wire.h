// Wire: a connection's bytes, plain or over TLS, over a non-blocking socket. For a level-triggered
// poller; the process ignores SIGPIPE.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "common/platform/unique_fd.h"
#include "tls_client.h"

namespace sluice::load {

class Wire {
 public:
  struct Outcome {
    enum class Kind : std::uint8_t {
      done,  // of send and receive: `bytes` of them
      would_block,
      finished,  // the server's FIN; over TLS its close_notify
      reset,
      failed,
    };
    Kind kind = Kind::would_block;
    std::size_t bytes = 0;
    std::string reason;  // of reset and failed
  };

  Wire() = default;
  Wire(UniqueFd fd, TlsSessionPtr session) : fd_(std::move(fd)), session_(std::move(session)) {}

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] bool is_tls() const { return session_ != nullptr; }
  // The last handshake() or receive() waits for room to write.
  [[nodiscard]] bool wants_write() const { return wants_write_; }

  // Of TLS, once connected, again until it is done.
  Outcome handshake();
  // Where it would block, the next send begins with these bytes and has at least as many.
  Outcome send(std::string_view bytes);
  Outcome receive(std::span<char> into);
  // Our FIN, and close_notify before it. would_block: again when it is writable.
  Outcome finish();

 private:
  Outcome outcome_of_tls(int result, std::string_view what);

  UniqueFd fd_;
  TlsSessionPtr session_;  // goes before its socket
  bool wants_write_ = false;
};

}  // namespace sluice::load
