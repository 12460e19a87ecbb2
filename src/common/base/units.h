// Byte quantities and the two kinds of time.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace sluice {

inline constexpr std::uint64_t kKiB = 1024;
inline constexpr std::uint64_t kMiB = 1024 * kKiB;
inline constexpr std::uint64_t kGiB = 1024 * kMiB;

// Deadlines and ages: never steps.
using MonotonicTime = std::chrono::steady_clock::time_point;
// What stands in keys, records and signatures: UTC, may step.
using WallTime = std::chrono::time_point<std::chrono::system_clock, std::chrono::nanoseconds>;

// Of seconds since 1970. What WallTime cannot hold (before 1677, after 2262) is its nearest end:
// an "expires in the year 9999" is far away, and not in the past.
inline WallTime wall_time_of(std::int64_t seconds) {
  constexpr std::int64_t kMost = WallTime::max().time_since_epoch().count() / 1'000'000'000;
  return WallTime(std::chrono::seconds(std::clamp(seconds, -kMost, kMost)));
}

}  // namespace sluice
