// LogFile: the lines of the logs stream in LOG_DIR/LOG_FILENAME, for people and log shippers. In
// come lines whose records the spool has durably; they are written before the replies, and synced
// where a segment is switched. What a crash keeps from the file is made again from the spool: each
// line is in it once, in order (docs/decisions/log-file-position.md).
//
//   at start        complete(), before anything else
//   a group         spool's fdatasync; append(); replies
//   segment switch  sync_and_note(); only then may the segment go to egress, which unlinks it
//   SIGHUP          reopen()
//
// It is rotated when it is large or old, and follows a logrotate that renames it, or truncates it.
// One process writes to a log file; text that others append is kept. Thread-compatible: Spool's.
// All calls block in the file system. Their errors are transient, with the errno, and name the path
// and what to do: call again later. `complete_due()` says whether that must be complete().
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "common/ndjson/log_position.h"
#include "common/platform/filesystem.h"
#include "common/spool/stream_directory.h"

namespace sluice {

class LogFile {
 public:
  struct Options {
    Path path = {};                       // LOG_DIR/LOG_FILENAME; no link
    std::uint64_t bytes_max = 0;          // LOG_FILE_MAX_BYTES: rotated before more; 0: never
    std::chrono::nanoseconds age_max{0};  // LOG_FILE_MAX_AGE, since its first line; 0: never
    std::size_t files_keep = 0;           // LOG_FILES_KEEP: rotated ones, beside it; 0: all
  };

  using TakeLines = std::function<Status(std::uint64_t sequence, std::string_view lines)>;
  // Gives `take` the lines of every record that the spool has from the sequence `from` on, in
  // order; lines end with a line feed, a record may have none. An error of `take` ends it, and is
  // given back.
  using SpooledLines = std::function<Status(std::uint64_t from, const TakeLines& take)>;

  // `stream` outlives it: the position is noted in its folder.
  LogFile(StreamDirectory& stream, Options options);

  // Opens the file and makes it hold the lines of all records in the spool, below `next_sequence`:
  // later ones come by append(). Without a note of an earlier run (a first start, or persistence
  // was off) all that the spool has is written at the end. Can be called at any time.
  Status complete(std::uint64_t next_sequence, const SpooledLines& spooled);
  // Nothing else does anything until complete() has succeeded: at first, and after a failed sync,
  // when nobody knows which of the lines since the last note the disk has.
  [[nodiscard]] bool complete_due() const { return complete_due_; }

  // Appends `lines`, whole ones, of records from `first_sequence` on, which the spool has durably.
  // On an error none of them counts: call again with the same ones, or, where complete_due(),
  // complete(), which writes these too. Rotates first where that is due; a rotation that fails is
  // logged and tried again later, and the lines go on into the old file.
  Status append(std::uint64_t first_sequence, std::string_view lines);

  // Syncs the file and notes durably that the lines of all records below `next_sequence` are there.
  Status sync_and_note(std::uint64_t next_sequence);

  // Where the path is gone, or another file: syncs the old one and goes on in a new one. On an
  // error lines go on into the old one, and append() tries again.
  Status reopen();

 private:
  Status make_directory();
  Status complete_noted(const LogPosition& noted, const SpooledLines& spooled);
  Status write_again(std::uint64_t sequence, const SpooledLines& spooled);
  Status fill(File& file, const LogPosition& from, const SpooledLines& spooled);
  Status open_path();
  Status drop_doubtful_file();
  Status find_end();
  Status sync();
  Status cut();
  Status settle();
  Status note(std::uint64_t next_sequence);
  [[nodiscard]] bool rotation_due(std::size_t bytes) const;
  void turn_over_if_due(std::size_t bytes);
  Status turn_over();
  Status move_away();
  void move_back();
  Status sync_entries();
  Status renew_entry();
  void drop_old_files();
  [[nodiscard]] Result<bool> is_at_path() const;
  [[nodiscard]] Path directory() const { return options_.path.parent_path(); }

  StreamDirectory& stream_;
  Filesystem& filesystem_;
  const Options options_;

  std::unique_ptr<File> file_;
  std::uint64_t inode_ = 0;
  std::uint64_t end_ = 0;                  // behind the last good line
  std::optional<MonotonicTime> began_at_;  // when its first line was written
  bool complete_due_ = true;
  bool cut_due_ = false;    // what is behind end_ is a part of lines that were not written
  bool end_known_ = false;  // end_ is the end of the file, and a line begins there
  bool note_due_ = false;   // the note says another file: nothing is appended
  bool reopen_due_ = false;
  MonotonicTime turn_over_at_{};  // not again before, after a failure
  bool renew_due_ = false;        // a sync of the directory failed: our file's entry is made again
  std::optional<Path> moved_to_;  // the name that the rotation at work gave the file
  // A file that we made at the path, whose entry may not be durable and could not be removed.
  std::optional<std::uint64_t> doubtful_inode_;
};

}  // namespace sluice
