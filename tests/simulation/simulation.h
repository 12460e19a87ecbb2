// The simulation: one or two hosts with a disk that forgets and fails, one store with a real one's
// weather, senders, and everything that can happen to them, in an order that a seed decides. In the
// end the weather clears, every process drains, and what the senders saw is held against what the
// store has.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/base/ids.h"

namespace sluice::simulation {

struct SimulationOptions {
  std::uint64_t seed = 1;
  std::uint64_t steps = 10'000;  // before the weather clears
  Stream stream = Stream::xml;
  bool trace = false;
};

struct SimulationReport {
  std::vector<std::string> violations;          // empty: nothing was lost, doubled or changed
  std::map<std::string, std::uint64_t> counts;  // what happened, by name
};

SimulationReport simulate(const SimulationOptions& options);

}  // namespace sluice::simulation
