// AcceptRate: so many accepted connections a second, in all. A token bucket that holds one second's
// worth, kept as the time at which it is full again. In: the time; out: now, or when. Thread-safe;
// a lock of a few instructions a connection.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>

#include "common/base/units.h"

namespace sluice {

class AcceptRate {
 public:
  // 0: no limit.
  explicit AcceptRate(std::uint32_t per_second)
      : interval_(per_second == 0 ? std::chrono::nanoseconds(0)
                                  : std::chrono::nanoseconds(kHeld) / per_second) {}

  // Takes one; where there is none, when there will be: until then leave connections to the
  // backlog.
  std::optional<MonotonicTime> take(MonotonicTime now) {
    if (interval_.count() == 0) {
      return std::nullopt;
    }
    const std::scoped_lock lock(mutex_);
    const MonotonicTime full_at = std::max(full_at_, now) + interval_;
    if (full_at - now > kHeld) {
      return full_at - kHeld;
    }
    full_at_ = full_at;
    return std::nullopt;
  }

  // One that was taken and not used: nobody was waiting.
  void put_back() {
    const std::scoped_lock lock(mutex_);
    full_at_ -= interval_;
  }

 private:
  static constexpr std::chrono::nanoseconds kHeld = std::chrono::seconds(1);

  const std::chrono::nanoseconds interval_;
  std::mutex mutex_;
  MonotonicTime full_at_{};  // long ago
};

}  // namespace sluice
