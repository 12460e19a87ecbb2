// TcpSocket: non-blocking TCP with the ends that the protocol needs: FIN or RST; and unix sockets,
// which know one end only.
#pragma once

#include <chrono>
#include <cstddef>
#include <span>

#include "common/platform/unique_fd.h"

namespace sluice {

// What one read gave.
struct ReadOutcome {
  enum class Kind : unsigned char { bytes, would_block, finished, reset };
  Kind kind = Kind::would_block;
  std::size_t bytes = 0;
};

// What one write gave. A peer that is gone in any way is a reset.
struct WriteOutcome {
  enum class Kind : unsigned char { bytes, would_block, reset };
  Kind kind = Kind::would_block;
  std::size_t bytes = 0;  // may be fewer than were given
};

// An accepted connection. Thread-compatible. Until send_fin() or close_with_fin() every end of it
// is a reset, also the one that the kernel makes when this process is killed: else a peer that has
// said FIN would read a FIN, and take that for an acknowledgement. A unix socket has no reset:
// unless bytes of the peer's were left unread, it reads a plain end whichever way this was closed,
// so an end there acknowledges nothing.
class TcpSocket {
 public:
  TcpSocket() = default;
  explicit TcpSocket(UniqueFd fd);

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] bool open() const { return fd_.valid(); }
  ReadOutcome read(std::span<std::byte> into);
  // The same bytes are read again.
  ReadOutcome peek(std::span<std::byte> into);
  // Never blocks, never raises SIGPIPE. Of several parts, in order, as one write; no more than
  // kPartsMax of them are looked at.
  static constexpr std::size_t kPartsMax = 64;
  WriteOutcome write(std::span<const std::byte> bytes);
  WriteOutcome write(std::span<const std::span<const std::byte>> parts);
  // FIN; nothing is written after it.
  void send_fin();
  // Whether the peer's kernel has all that was written, and the FIN, or is gone; of a unix socket,
  // whether the peer has read it.
  [[nodiscard]] bool is_all_taken() const;
  // FIN, if it was not sent, provided that all of the peer's bytes and its FIN were read (else the
  // kernel makes it RST, which may overtake what was written).
  void close_with_fin();
  void close_with_reset();

 private:
  ReadOutcome receive(std::span<std::byte> into, int flags);
  void set_reset_on_close(bool on);

  UniqueFd fd_;
};

struct KeepaliveOptions {
  std::chrono::seconds idle{60};
  std::chrono::seconds interval{10};
  int probes = 3;
};

}  // namespace sluice
