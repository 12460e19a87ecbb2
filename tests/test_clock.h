// Clocks for tests.
#pragma once

#include <atomic>
#include <chrono>

#include "common/platform/clock.h"

namespace sluice {

// The real clock, moved forward by what a test asks for.
class OffsetClock final : public Clock {
 public:
  [[nodiscard]] MonotonicTime now() const override {
    return std::chrono::steady_clock::now() + std::chrono::nanoseconds(offset_ns_.load());
  }
  [[nodiscard]] WallTime wall_now() const override {
    return std::chrono::system_clock::now() + std::chrono::nanoseconds(offset_ns_.load());
  }
  void advance(std::chrono::nanoseconds by) { offset_ns_.fetch_add(by.count()); }

 private:
  std::atomic<std::int64_t> offset_ns_{0};
};

// Stands still until it is told to go on.
class ManualClock final : public Clock {
 public:
  [[nodiscard]] MonotonicTime now() const override { return now_; }
  [[nodiscard]] WallTime wall_now() const override { return wall_now_; }
  void advance(std::chrono::nanoseconds by) {
    now_ += by;
    wall_now_ += by;
  }
  void step_wall(std::chrono::nanoseconds by) { wall_now_ += by; }

 private:
  MonotonicTime now_{std::chrono::hours(1)};
  WallTime wall_now_{std::chrono::seconds(1'700'000'000)};
};

}  // namespace sluice
