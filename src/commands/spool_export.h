// `sluice spool export`: a segment as files that anybody can read and `sluice replay` takes: its
// pieces one after the other, and a line for each that says where it lies and where it came from.
// The files are those in which the store keeps rejected pieces, for all pieces. Reads the spool
// only; also beside a server.
#pragma once

#include <iosfwd>

#include "common/base/ids.h"
#include "common/platform/filesystem.h"

namespace sluice {

struct SpoolExport {
  Path spool_dir;
  SegmentId segment;  // in the folder of a stream, or in quarantine/
  Path folder;        // must exist; what is there already is not written over
};

// Writes <folder>/seg-<id>_raw.xml and seg-<id>_raw.reasons.jsonl, durably. 0, or 1 where there is
// no such segment, or where not all of its records verify: the others are exported. Errors go to
// stderr.
int spool_export(Filesystem& filesystem, const SpoolExport& what, std::ostream& out);

}  // namespace sluice
