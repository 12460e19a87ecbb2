// Byte quantities and the two kinds of time.
#pragma once

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

}  // namespace sluice
