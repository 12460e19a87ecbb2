// $SPOOL_DIR/replays.jsonl: a line for each replay. It says where events came from, and outlives
// the ledger: a source is not replayed twice unknowingly even when the ledger is gone. Blocks.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/platform/filesystem.h"

namespace sluice {

struct ReplayNote {
  WallTime at{};
  std::string source = {};  // the path; "quarantine" of a segment that had been set aside
  std::string sha256 = {};  // ReplayFile::sha256(); empty of a segment
  SegmentId segment = {};
  std::optional<SegmentId> exported_from = {};  // ReplayFile::exported_from()
  std::uint64_t events = 0;
  std::uint64_t malformed = 0;
  std::string reason = {};  // why it had been set aside
};

// Durable when it returns well.
Status append_replay_note(Filesystem& filesystem, const Path& spool_dir, const ReplayNote& note);

// The notes of files, by the uid of their segment. Lines that do not parse (a torn one) are left
// out; no file is none.
Result<std::map<std::uint64_t, ReplayNote>> read_replay_notes(Filesystem& filesystem,
                                                              const Path& spool_dir);

}  // namespace sluice
