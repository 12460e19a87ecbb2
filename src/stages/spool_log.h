// SpoolLog: what Spool of the logs stream does beside the segments: the lines of each durable group
// go to the log file before their replies, and are synced before their segment goes to egress.
// Thread-compatible: Spool's. All calls block; errors are transient: call again later.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "common/ndjson/line_renderer.h"
#include "common/ndjson/log_file.h"
#include "common/spool/stream_directory.h"
#include "stages/messages.h"

namespace sluice {

class SpoolLog {
 public:
  // `stream` outlives it.
  SpoolLog(StreamDirectory& stream, LogFile::Options options)
      : stream_(stream), path_(options.path), file_(stream, std::move(options)) {}

  // At start, before anything else: the file has the lines of all that the spool holds.
  Status begin();

  // The lines of a group that is durable, whose first piece has `first_sequence`. After an error
  // again with the same group: each line is written once.
  Status append(const std::vector<Batch>& group, std::uint64_t first_sequence);
  // Before a segment is given away: the lines of all below `next_sequence` are durable.
  Status sync(std::uint64_t next_sequence);
  [[nodiscard]] const Path& path() const { return path_; }
  // SIGHUP.
  Status reopen() { return file_.reopen(); }

 private:
  Status complete(std::uint64_t next_sequence);
  void render(const Batch& batch);

  StreamDirectory& stream_;
  const Path path_;
  LogFile file_;
  LineRenderer renderer_;
  std::size_t batches_written_ = 0;  // of the group that append() is about
  std::string joined_;
  std::string lines_;
};

}  // namespace sluice
