// BandwidthLimit: a token bucket of bytes for all that one client sends. Pure but for the time that
// it is given; one thread.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "common/base/units.h"

namespace sluice {

class BandwidthLimit {
 public:
  // 0: no limit. A tenth of a second's worth may go at once, at least 16 KiB.
  explicit BandwidthLimit(std::uint64_t bytes_per_second)
      : bytes_per_second_(bytes_per_second),
        burst_bytes_(std::max<double>(static_cast<double>(bytes_per_second) / 10, 16 * kKiB)),
        bytes_(burst_bytes_) {}

  // How much of `wanted` bytes may be sent now; they count as sent.
  std::size_t take(std::size_t wanted, MonotonicTime now) {
    if (bytes_per_second_ == 0) {
      return wanted;
    }
    fill(now);
    const auto taken = static_cast<std::size_t>(std::min(bytes_, static_cast<double>(wanted)));
    bytes_ -= static_cast<double>(taken);
    return taken;
  }
  // When half a burst may be sent: a packet at a time would be work for nothing.
  [[nodiscard]] MonotonicTime ready_at(MonotonicTime now) {
    if (bytes_per_second_ == 0) {
      return now;
    }
    fill(now);
    const double missing = std::max(burst_bytes_ / 2 - bytes_, 0.0);
    return now + std::chrono::nanoseconds(static_cast<std::int64_t>(
                     missing * 1e9 / static_cast<double>(bytes_per_second_)));
  }

 private:
  void fill(MonotonicTime now) {
    if (filled_at_ != MonotonicTime{}) {
      const std::chrono::duration<double> elapsed = now - filled_at_;
      bytes_ = std::min(burst_bytes_, bytes_ + std::max(elapsed.count(), 0.0) *
                                                   static_cast<double>(bytes_per_second_));
    }
    filled_at_ = now;
  }

  std::uint64_t bytes_per_second_;
  double burst_bytes_;
  double bytes_;
  MonotonicTime filled_at_{};
};

}  // namespace sluice
