// LogCompletion: makes the end of a log file hold the lines that the spool has, each once and in
// order, whatever a kill, a full disk or a power cut left of them. Goes through the file once, from
// where its lines are known to be complete, and through the lines beside it; writes what is
// missing.
//
// A line counts as there where its bytes are there. Where there is the line with zeros in place of
// some of its bytes (sectors that a power cut kept from the disk), or only its beginning at the end
// of the file, it is written there again, over itself. Any other line is somebody else's: it stays,
// and ours is looked for behind it, and at last put behind everything.
//
// Memory: a line and 512 KiB. Blocks. Does not sync, but for one line feed. For one thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/platform/filesystem.h"

namespace sluice {

class LogCompletion {
 public:
  // `begin`: where a line begins, or the end of the file (`size`). `file` outlives it.
  LogCompletion(File& file, std::uint64_t begin, std::uint64_t size)
      : file_(file), at_(begin), size_(size) {}

  // Whole lines, each with its line feed; those of all records in order, over all calls. An error
  // of the file ends it: begin anew.
  Status take(std::string_view lines);
  // Writes what is left, and cuts zeros off the end of the file.
  Status finish();

  [[nodiscard]] std::uint64_t lines_found() const { return lines_found_; }
  [[nodiscard]] std::uint64_t lines_written() const { return lines_written_; }
  // Bytes that are not ours, behind `begin`.
  [[nodiscard]] std::uint64_t other_bytes() const { return other_bytes_; }

 private:
  Status take_line(std::string_view line);
  Status put(std::string_view line);
  Status flush();
  Status skip_other_line();
  // At most `bytes` of the file at at_, valid until the next call; fewer only at the end.
  Result<std::string_view> look(std::size_t bytes);

  File& file_;
  std::uint64_t at_;    // all before it is done
  std::uint64_t size_;  // of the file, but for lines that were put behind its end
  std::string window_;  // of the file, from window_begin_ on
  std::uint64_t window_begin_ = 0;
  std::string unwritten_;  // belongs at unwritten_begin_
  std::uint64_t unwritten_begin_ = 0;
  std::uint64_t lines_found_ = 0;
  std::uint64_t lines_written_ = 0;
  std::uint64_t other_bytes_ = 0;
};

}  // namespace sluice
