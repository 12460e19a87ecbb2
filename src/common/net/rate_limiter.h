// RateLimiter: so many events a window for each address. A fixed window from the address's first
// event, by the monotonic clock; addresses that have been quiet for a window are forgotten.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>

#include "common/base/units.h"
#include "common/net/peer_address.h"

namespace sluice {

class RateLimiter {
 public:
  struct Limit {
    std::uint64_t events_max = 0;
    std::chrono::milliseconds window{0};
  };
  explicit RateLimiter(Limit limit) : limit_(limit) {}

  // Counts `events` of `peer` (its port does not matter). Thread-safe. Where the limit is used up:
  // when its window ends.
  std::optional<MonotonicTime> count(const PeerAddress& peer, std::uint64_t events,
                                     MonotonicTime now);
  [[nodiscard]] std::size_t addresses() const;

 private:
  struct Window {
    MonotonicTime begin{};
    std::uint64_t events = 0;
  };
  void forget_quiet_addresses(MonotonicTime now);

  const Limit limit_;
  mutable std::mutex mutex_;
  std::map<std::array<std::uint8_t, 16>, Window> windows_;
  MonotonicTime swept_at_{};
};

}  // namespace sluice
