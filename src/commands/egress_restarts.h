// EgressRestarts: when a failed egress is built again. 1 s after the first failure, doubling to
// 60 s; five failures in a row without a segment done in between end the process.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>

#include "common/base/units.h"

namespace sluice {

class EgressRestarts {
 public:
  // `segments_done`: ever, to see progress. When to build it again, or nothing: give up.
  std::optional<MonotonicTime> on_failure(MonotonicTime now, std::uint64_t segments_done) {
    failures_ = segments_done > done_at_last_ ? 1 : failures_ + 1;
    done_at_last_ = segments_done;
    if (failures_ >= kFailuresMax) {
      return std::nullopt;
    }
    const auto delay = std::min(kDelayMax, kDelayMin * (1U << (failures_ - 1)));
    return now + delay;
  }

 private:
  static constexpr unsigned kFailuresMax = 5;
  static constexpr std::chrono::seconds kDelayMin{1};
  static constexpr std::chrono::seconds kDelayMax{60};

  unsigned failures_ = 0;
  std::uint64_t done_at_last_ = 0;
};

}  // namespace sluice
