// The probe: does the store take an object under each prefix? For the start and `sluice check`.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "common/s3/object_store.h"

namespace sluice {

struct StoreProbe {
  std::vector<std::string> prefixes;
  std::string instance;
  std::chrono::milliseconds deadline{30'000};  // of all together
};

// What is to be said where a probe is `unconditional`, behind the name of the store.
inline constexpr const char* kUnconditional =
    "does not know If-None-Match: that no object is written over rests on the unique names alone";

struct PrefixProbe {
  std::string prefix;
  std::optional<StoreError> error;         // it takes no object
  std::optional<StoreError> remove_error;  // it does, but would not remove it again: harmless
  bool unconditional = false;              // it knows no If-None-Match, or does not heed it
};

// Puts "<prefix>.sluice-probe-<instance>…" under each prefix, twice, and removes it; in the order
// given. The second must fail: a store that takes it does not know the condition, and is told
// leave_out_conditions(). One attempt each, and another one for each thing that
// an answer taught: the store's clock, that it refuses conditions, or to fetch credentials. Blocks,
// driving poll(); no other request may be in flight.
std::vector<PrefixProbe> probe_store(ObjectStore& store, const StoreProbe& probe);

}  // namespace sluice
