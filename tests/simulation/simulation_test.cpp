// A fixed set of seeds, each a life of hosts, disks, senders and a store: FAULTS in every mixture.
#include "simulation/simulation.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <iostream>
#include <random>

using namespace sluice::simulation;

namespace {

using Counts = std::map<std::string, std::uint64_t>;

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

void run(std::uint64_t seed, Counts& counts, sluice::Stream stream = sluice::Stream::xml) {
  const SimulationReport report = simulate({.seed = seed, .stream = stream});
  const char* logs = stream == sluice::Stream::logs ? " --logs" : "";
  for (const std::string& violation : report.violations) {
    FAIL_CHECK("seed ", seed, ": ", violation, " (tools/simulate --seed ", seed, logs, ")");
  }
  for (const auto& [what, number] : report.counts) {
    counts[what] += number;
  }
}

void print(const Counts& counts) {
  for (const auto& [what, number] : counts) {
    std::cout << "  " << what << ": " << number << "\n";
  }
}

}  // namespace

TEST_CASE("nothing_acknowledged_is_lost_doubled_or_reordered_for_any_of_the_fixed_seeds") {
  Counts counts;
  constexpr std::uint64_t kSeeds = 150;
  const std::uint64_t seeds = from_environment("SLUICE_TEST_SEEDS", kSeeds);
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    run(seed, counts);
  }
  std::cout << seeds << " seeds:\n";
  print(counts);
  // A simulation in which nothing goes wrong proves nothing.
  for (const char* what : {"acked",
                           "answers lost",
                           "backups restored",
                           "clean ends",
                           "clock steps",
                           "conditions met",
                           "data objects",
                           "deaths at start",
                           "denials",
                           "disk faults",
                           "drain timeouts",
                           "egress failures",
                           "egress rebuilt",
                           "full disks",
                           "ingest failures",
                           "kills",
                           "multipart uploads",
                           "objects found",
                           "power cuts",
                           "raw objects",
                           "requests doubled",
                           "requests late",
                           "requests of the dead",
                           "second instances",
                           "segments abandoned",
                           "segments set aside",
                           "slow syncs",
                           "starts of another version"}) {
    CHECK_MESSAGE((counts[what] > 0 || seeds < kSeeds), "never happened: ", what);
  }
}

TEST_CASE("no_log_line_that_was_answered_is_lost_or_doubled_in_store_or_log_file") {
  Counts counts;
  constexpr std::uint64_t kSeeds = 60;
  const std::uint64_t seeds = from_environment("SLUICE_TEST_SEEDS", kSeeds);
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    run(seed, counts, sluice::Stream::logs);
  }
  std::cout << seeds << " seeds of logs:\n";
  print(counts);
  for (const char* what : {"acked", "lines logged", "kills", "power cuts", "disk faults",
                           "full disks", "backups restored", "data objects", "raw objects"}) {
    CHECK_MESSAGE((counts[what] > 0 || seeds < kSeeds), "never happened: ", what);
  }
}

TEST_CASE("nor_for_a_few_that_nobody_has_seen_before") {
  Counts counts;
  std::random_device device;
  for (int i = 0; i < 20; ++i) {
    const std::uint64_t seed = (std::uint64_t{device()} << 16U) + device() % 65536U;
    std::cout << "seed " << seed << "\n";
    run(seed, counts);
    run(seed, counts, sluice::Stream::logs);
  }
}
