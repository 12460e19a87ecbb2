// `sluice spool ls|cat|verify`: looks at a spool without changing anything, also beside a server
// that runs on it. `dir` is SPOOL_DIR. Errors go to stderr.
#pragma once

#include <iosfwd>
#include <string>

#include "common/platform/filesystem.h"

namespace sluice {

// A line a segment: stream, number, uid, state, events, malformed, bytes, first received. 0, or 1
// where the spool cannot be read.
int spool_ls(const Path& dir, std::ostream& out);

// The exact bytes of all events and malformed runs, one after the other, each followed by a line
// feed; of one segment ("<num>-<uid>" as `ls` joins them, or the path of a file that is one: in the
// spool's quarantine, or a `_segment` object) or, where that is empty, of all. 0, or 1 where
// something could not be read.
int spool_cat(const Path& dir, const std::string& segment, std::ostream& out);

// Checks every CRC of every segment; a line each. 0, or 1 where something is damaged. The tail of a
// segment that is being written, or was when the process died, is not damage.
int spool_verify(const Path& dir, std::ostream& out);

}  // namespace sluice
