// SpooledLines: the log lines of what the spool still holds, made again from its records.
#pragma once

#include <cstdint>

#include "common/ndjson/line_renderer.h"
#include "common/ndjson/log_file.h"
#include "common/spool/segment_reader.h"
#include "common/spool/stream_directory.h"

namespace sluice {

// Appends the log file's lines of a record's pieces from the sequence `from` on. `first_sequence`
// is that of its first piece.
void append_lines(const RecordView& record, std::uint64_t first_sequence, std::uint64_t from,
                  LineRenderer& renderer, std::string& out);

// LogFile::SpooledLines of a stream's folder. Reads a block at a time; bytes that do not verify are
// left out, as Validate leaves them out. A segment that goes away meanwhile has been through
// egress, so its lines are noted. Blocks; fatal where the folder or a segment cannot be read.
Status for_each_spooled_line(const StreamDirectory& stream, std::uint64_t from,
                             const LogFile::TakeLines& take);

}  // namespace sluice
