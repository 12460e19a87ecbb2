// TcpSocket, TcpListener: non-blocking TCP with the ends that the protocol needs: FIN or RST.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "common/base/result.h"
#include "common/net/peer_address.h"
#include "common/platform/unique_fd.h"

namespace sluice {

// What one read gave.
struct ReadOutcome {
  enum class Kind : unsigned char { bytes, would_block, finished, reset };
  Kind kind = Kind::would_block;
  std::size_t bytes = 0;
};

// An accepted connection. Thread-compatible. Until close_with_fin() every end of it is a reset,
// also the one that the kernel makes when this process is killed: else a peer that has said FIN
// would read a FIN, and take that for an acknowledgement.
class TcpSocket {
 public:
  TcpSocket() = default;
  explicit TcpSocket(UniqueFd fd);

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] bool open() const { return fd_.valid(); }
  ReadOutcome read(std::span<std::byte> into);
  // FIN, provided that the peer's FIN was read (else the kernel would make it RST).
  void close_with_fin();
  void close_with_reset();

 private:
  void set_reset_on_close(bool on);

  UniqueFd fd_;
};

struct KeepaliveOptions {
  std::chrono::seconds idle{60};
  std::chrono::seconds interval{10};
  int probes = 3;
};

class TcpListener {
 public:
  struct Accepted {
    TcpSocket socket;
    PeerAddress peer;
  };
  enum class AcceptFault : unsigned char {
    none_waiting,
    // None are left but those kept for others than connections; one waiting connection was closed
    // to make that clear to its peer.
    out_of_descriptors,
    transient,  // the peer gave up, or the network; try the next
  };

  // Resolves `host` (a name or an address; numeric is tried first), binds, listens. Port 0 takes a
  // free one. The error names host, port and what to do.
  static Result<TcpListener> listen(std::string_view host, std::uint16_t port);

  // Never blocks.
  std::variant<Accepted, AcceptFault> accept(const KeepaliveOptions& keepalive);
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  // "192.0.2.1:8080"
  [[nodiscard]] std::string address() const;

 private:
  UniqueFd fd_;
  UniqueFd reserve_;  // given up for a moment where descriptors have run out
  PeerAddress bound_;
  std::uint16_t port_ = 0;
};

}  // namespace sluice
