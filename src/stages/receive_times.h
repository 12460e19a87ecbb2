// What the parts of Receive agree on.
#pragma once

#include <chrono>
#include <cstdint>

#include "common/base/units.h"

namespace sluice {

// Poller tokens from here on are listeners; below it connections.
inline constexpr std::uint64_t kListenerTokens = std::uint64_t{1} << 63U;
inline constexpr auto kSweepInterval = std::chrono::seconds(1);
// What passed beyond this between two sweeps was not spent reading: the process was stopped.
inline constexpr MonotonicTime::duration kSweepCountedMax = 2 * kSweepInterval;
inline constexpr auto kStallLookInterval = std::chrono::milliseconds(50);

inline double seconds_of(std::chrono::nanoseconds duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace sluice
