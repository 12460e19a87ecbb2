// simulate [--trace] [--logs] SEED: one run of the simulation, as tools/simulate calls it.
#include <cstdlib>
#include <cstring>
#include <iostream>

#include "simulation/simulation.h"

int main(int argc, char** argv) {
  sluice::simulation::SimulationOptions options;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--trace") == 0) {
      options.trace = true;
    } else if (std::strcmp(argv[i], "--logs") == 0) {
      options.stream = sluice::Stream::logs;
    } else {
      options.seed = std::strtoull(argv[i], nullptr, 10);
    }
  }
  const auto report = sluice::simulation::simulate(options);
  for (const auto& [what, number] : report.counts) {
    std::cout << what << ": " << number << "\n";
  }
  for (const std::string& violation : report.violations) {
    std::cout << "VIOLATION: " << violation << "\n";
  }
  return report.violations.empty() ? 0 : 1;
}
