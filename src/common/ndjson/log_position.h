// LogPosition: up to where the lines of a log file are complete and durable. A small file beside
// the segments of its stream says it ($SPOOL_DIR/logs/LOGFILE, a twin file with a line of JSON and
// the path). All that is at or behind it can be made again from the spool. All calls block.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "common/platform/filesystem.h"
#include "common/spool/stream_directory.h"

namespace sluice {

// The end of what is before an offset: tells a file again that was moved, copied or restored, and
// tells it from another one that was given the same inode number.
struct LogTail {
  static constexpr std::uint64_t kBytesMax = 4096;
  std::uint64_t bytes = 0;  // 0 only where there is nothing before the offset
  std::uint32_t crc32c = 0;
  bool operator==(const LogTail&) const = default;
};

struct LogPosition {
  // The lines of all records below this are complete and durable, here below `offset` or in files
  // that were rotated away; those of all others lie at `offset` or behind it, or are missing.
  std::uint64_t sequence = 0;
  std::uint64_t offset = 0;
  std::uint64_t inode = 0;  // no device: its number may change when the machine starts again
  LogTail tail;             // before `offset`
  Path path;                // where the file was then
  bool operator==(const LogPosition&) const = default;
};

Path log_position_path(const Path& stream_directory);  // <stream_directory>/LOGFILE

std::string encode_log_position(const LogPosition& position);
// Rejected where neither copy verifies.
Result<LogPosition> decode_log_position(std::string_view content);

// Nothing where there is none. Rejected where it does not verify, fatal where it cannot be read.
Result<std::optional<LogPosition>> read_log_position(Filesystem& filesystem,
                                                     const Path& stream_directory);
// Durable when it returns well. Otherwise the old one stands there or the new one.
Status write_log_position(StreamDirectory& stream, const LogPosition& position);

// Of the bytes before `offset`; fatal where the file is shorter.
Result<LogTail> read_log_tail(const File& file, std::uint64_t offset);

struct FoundLog {
  Path path;
  std::unique_ptr<File> file;  // for reading and writing
};
// The file that `position` speaks of, wherever it is now: at its path, or among the files beside it
// whose names begin with its name. By inode number and tail, or else by the tail alone (it was
// copied, or moved to another disk). Nothing where there is none.
Result<std::optional<FoundLog>> find_log(Filesystem& filesystem, const LogPosition& position);

}  // namespace sluice
