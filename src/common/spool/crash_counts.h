// CrashCounts: how often this process died while it worked on which of the segments that are still
// there, read at start from $SPOOL_DIR/CRASHES (common/platform/crash_marks.h writes it). A file
// that cannot be read, or lines that do not verify, count for nothing: the worst is that a segment
// is tried again.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/platform/filesystem.h"

namespace sluice {

struct SegmentCrashes {
  std::uint32_t times = 0;
  int signal = 0;  // of the last one
};

class CrashCounts {
 public:
  // Nothing has crashed.
  CrashCounts() = default;
  // Of the spool in `spool_dir`. Writes the file anew, without the marks of segments that are gone,
  // where something in it is of no use. What is wrong with it goes into `warnings`. Blocks.
  CrashCounts(Filesystem& filesystem, const Path& spool_dir, std::vector<std::string>& warnings);

  [[nodiscard]] SegmentCrashes of(const SegmentId& segment) const;

 private:
  std::map<SegmentId, SegmentCrashes> crashes_;
};

// The segment is gone from its folder: should a person give it back, it begins anew. Makes its
// lines in the file ones that do not verify, in place, so that a crash meanwhile still appends.
// Blocks. Safe beside itself for other segments.
Status forget_crashes(Filesystem& filesystem, const Path& spool_dir, const SegmentId& segment);

Path crashes_path(const Path& spool_dir);

}  // namespace sluice
