// ConnectionLimits: how many connections there may be, in all and of one address, and when an
// address was last here. Thread-safe; a lock, taken once when a connection opens and once when it
// closes.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string_view>

#include "common/base/units.h"
#include "common/net/peer_address.h"

namespace sluice {

class ConnectionLimits {
 public:
  struct Limits {
    std::uint32_t connections_max = 4096;
    std::uint32_t per_ip_max = 0;  // 0: no limit of its own
  };
  struct Admission {
    bool admitted = false;
    std::string_view refused_by;                   // the setting that refused it
    std::optional<std::chrono::milliseconds> gap;  // since this address's last one closed
  };

  explicit ConnectionLimits(Limits limits) : limits_(limits) {}

  // Of whom a new connection is.
  enum class Opener : std::uint8_t {
    client,
    proxy,  // trusted: whose it is is known later, so the limit of one address waits for that
  };
  // Peers on unix sockets have no address, and no limit of one.
  Admission open(const PeerAddress& peer, MonotonicTime now, Opener opener = Opener::client);
  // A proxy has said whose an admitted connection of `from` is. Where `to` may have no more, it
  // stays with `from`, to be closed.
  Admission pass_on(const PeerAddress& from, const PeerAddress& to, MonotonicTime now);
  // Of a connection that was admitted, under the address that has it.
  void close(const PeerAddress& peer, MonotonicTime now);
  [[nodiscard]] std::uint32_t connections() const;

 private:
  struct Address {
    std::uint32_t open = 0;
    std::optional<MonotonicTime> last_closed;
  };
  Admission admit(Address& address, MonotonicTime now);
  [[nodiscard]] bool is_full(const PeerAddress& peer, const Address& address) const;

  // Addresses without a connection that are remembered for their gap.
  static constexpr std::size_t kAddressesRemembered = 10'000;

  const Limits limits_;
  mutable std::mutex mutex_;
  std::uint32_t connections_ = 0;
  std::map<std::array<std::uint8_t, 16>, Address> addresses_;
};

}  // namespace sluice
