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

struct PrefixProbe {
  std::string prefix;
  std::optional<StoreError> error;         // it takes no object
  std::optional<StoreError> remove_error;  // it does, but would not remove it again: harmless
};

// Puts and removes "<prefix>.sluice-probe-<instance>" under each prefix; in the order given. One
// attempt each, and a second one where the first taught the store's clock, or fetched credentials.
// Blocks, driving poll(); no other request may be in flight.
std::vector<PrefixProbe> probe_store(ObjectStore& store, const StoreProbe& probe);

}  // namespace sluice
