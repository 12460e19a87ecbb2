// What every part of a simulation shares: the one source of chance, and the trace.
#pragma once

#include <cstdint>
#include <iostream>
#include <random>
#include <string>
#include <string_view>

#include "test_clock.h"

namespace sluice::simulation {

// The same seed gives the same run: everything that is left to chance asks here, in a fixed order.
class SimRandom {
 public:
  explicit SimRandom(std::uint64_t seed) : engine_(seed) {}

  std::uint64_t next() { return engine_(); }
  // 0 where n is 0.
  std::uint64_t below(std::uint64_t n) { return n == 0 ? 0 : engine_() % n; }
  std::uint64_t between(std::uint64_t least, std::uint64_t most) {
    return least + below(most - least + 1);
  }
  // One time in `n`.
  bool one_in(std::uint64_t n) { return below(n) == 0; }

 private:
  std::mt19937_64 engine_;
};

// A line for each thing that happens, where it is wanted.
class SimTrace {
 public:
  SimTrace(const ManualClock& clock, bool wanted) : clock_(clock), wanted_(wanted) {}

  void say(int host, std::string_view what) {
    if (wanted_) {
      const auto since = std::chrono::duration_cast<std::chrono::milliseconds>(
          clock_.now().time_since_epoch() - std::chrono::hours(1));
      std::cerr << ++lines_ << " +" << since.count() << "ms host-" << host << " " << what << "\n";
    }
  }

 private:
  const ManualClock& clock_;
  bool wanted_;
  std::uint64_t lines_ = 0;
};

}  // namespace sluice::simulation
