// `sluice rotate`: asks the running server to seal what it has now, waits until all of that is out
// of the spool, and prints the keys that it went to.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/config/config.h"
#include "common/platform/filesystem.h"

namespace sluice {

struct RotateOptions {
  std::chrono::milliseconds timeout{60'000};
};

// 0 done; 1 no server, or the time is up.
int rotate_command(const Config& config, const RotateOptions& options);

// The parts, for tests and for `status`. All block for a few file operations.

// The pid that holds the lock of this spool; nothing where nobody runs on it.
std::optional<int> running_pid(const Path& spool_dir);

// The segments of the spool that hold records, as "<num>-<uid>". Prepared ones are only a header.
Result<std::set<std::string>> segments_with_records(Filesystem& filesystem, const Path& spool_dir);

struct LedgerObject {
  std::string key;
  std::uint64_t events = 0;
  std::uint64_t bytes = 0;
};
// The objects made of these segments, in the ledger's order; looks at its two newest generations.
Result<std::vector<LedgerObject>> objects_of(const std::set<std::string>& segments,
                                             Filesystem& filesystem, const Path& spool_dir);

}  // namespace sluice
