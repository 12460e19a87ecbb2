// `sluice rotate`: asks the running server to seal what it has now, waits until all of that is out
// of the spool, and prints the keys that it went to.
#pragma once

#include <chrono>
#include <optional>
#include <set>
#include <vector>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/config/config.h"
#include "common/platform/filesystem.h"
#include "common/spool/ledger.h"

namespace sluice {

struct RotateOptions {
  std::chrono::milliseconds timeout{60'000};
};

// 0 done; 1 no server, or the time is up.
int rotate_command(const Config& config, const RotateOptions& options);

// The parts, for tests and for `status`. All block for a few file operations.

// The pid that holds the lock of this spool; nothing where nobody runs on it.
std::optional<int> running_pid(const Path& spool_dir);

// The segments of the spool that hold records, of all streams. Prepared ones are only a header.
Result<std::set<SegmentId>> segments_with_records(Filesystem& filesystem, const Path& spool_dir);

// The objects made of these segments, in the ledger's order; looks at its newest generations only.
Result<std::vector<LedgerEntry>> objects_of(const std::set<SegmentId>& segments,
                                            Filesystem& filesystem, const Path& spool_dir);

}  // namespace sluice
