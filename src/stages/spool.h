// Spool: batches in, durable records out; the last stage of ingest. Takes all that is queued,
// writes it as one group, syncs, and only then answers: group commit. One thread a stream; blocks
// only in file-system calls, never on Rotate, never for the disk budget.
//
// A write or sync that fails costs the segment, not the events: it is sealed by a side file at its
// last durable offset and what was not yet durable, still in memory, goes to a new segment. A
// failed sync is never repeated on the same file.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/admin/conditions.h"
#include "common/base/live_ratio.h"
#include "common/pipeline/bounded_queue.h"
#include "common/pipeline/outbox.h"
#include "common/spool/segment_writer.h"
#include "common/spool/stream_directory.h"
#include "stages/books.h"
#include "stages/messages.h"
#include "stages/spool_log.h"

namespace sluice {

class Spooler {
 public:
  struct Options {
    std::uint64_t segment_run_bytes = 5 * kMiB;  // MAX_FILE_SIZE: switch once it is reached
    // It is the size that the object shall have: Links::object_ratio says how much that is here.
    bool size_is_of_object = false;
    std::uint64_t segment_bytes_max = kGiB;  // SPOOL_MAX_BYTES / 8: switch before it is
    std::chrono::nanoseconds segment_age = std::chrono::seconds(60);  // ROTATION_INTERVAL
    std::chrono::nanoseconds sync_interval = std::chrono::milliseconds(50);
    std::uint64_t sync_bytes = 4 * kMiB;
    std::chrono::nanoseconds retry_interval = std::chrono::seconds(1);
    std::chrono::nanoseconds disk_failure_timeout = std::chrono::seconds(60);
    // How long a drain waits for a disk that takes nothing before it drops what is not durable.
    std::chrono::nanoseconds drain_patience = std::chrono::seconds(5);
  };

  // What it shares with others; all outlive it.
  struct Links {
    StreamDirectory& stream;
    BoundedQueue<PreparedSegment>& prepared;  // from Rotate; made here where it is empty
    Books& books;
    Conditions& conditions;
    // Hands a reply to the Receive thread of its connection; must not block.
    std::function<void(Reply)> reply;
    const std::atomic<bool>& at_watermark;  // the disk budget is reached: seal what there is
    const std::atomic<bool>& draining;      // we are stopping: do not wait for the disk for ever
    const LiveRatio& object_ratio;          // bytes of objects per byte of runs
    SpoolLog* log = nullptr;                // of the logs stream, where it keeps a log file
  };

  Spooler(Options options, Links links);

  // The Worker concept; common/pipeline/pipeline.h. Fatal: the disk failed for too long.
  Status process(SpoolInput input, Outbox<FinishedSegment>& out);
  Status on_idle(Outbox<FinishedSegment>& out);
  Status finish(Outbox<FinishedSegment>& out);
  [[nodiscard]] MonotonicTime wake_at() const;
  [[nodiscard]] bool wants_input() const { return !trouble_; }

 private:
  struct OpenSegment {
    SegmentId id;
    std::unique_ptr<File> file;
    SegmentWriter writer;
    MonotonicTime first_record_at{};
    bool failed = false;  // nothing is written to it any more: it waits for its side seal
  };
  struct Trouble {
    std::optional<MonotonicTime> failing_since;  // nothing while it is only full
    MonotonicTime retry_at;
  };

  static bool no_space(const Error& error);
  Status commit(Outbox<FinishedSegment>& out);
  Status write_group(Outbox<FinishedSegment>& out);
  Status write_and_sync();
  Status open_segment();
  Status seal_failed(Outbox<FinishedSegment>& out);
  void count_durable();
  Status write_log();
  Status sync_log();
  void reopen_log() const;
  Status note_trouble(const Error& error, const Path& where);
  void end_trouble();
  void release_replies(bool durable);
  void drop_pending();
  Status give_up_if_draining();
  Status switch_if_due(Outbox<FinishedSegment>& out);
  Status finish_segment(std::string reason, Outbox<FinishedSegment>& out);
  void hand_over(FinishedSegment segment, Outbox<FinishedSegment>& out);
  [[nodiscard]] MonotonicTime now() const { return links_.stream.clock().now(); }
  [[nodiscard]] std::uint64_t commit_bytes() const;
  [[nodiscard]] std::uint64_t run_bytes_wanted() const;

  const Options options_;
  Links links_;
  std::optional<OpenSegment> current_;
  std::vector<Batch> pending_;  // not durable yet, in order
  std::uint64_t pending_bytes_ = 0;
  MonotonicTime pending_since_{};
  // They are durable, and their lines not yet in the log file: the first one's sequence.
  std::optional<std::uint64_t> to_log_;
  bool somebody_waits_ = false;            // for a reply to one of them
  std::optional<std::string> seal_asked_;  // the reason
  std::optional<Trouble> trouble_;
  std::optional<MonotonicTime> draining_since_;
  bool gave_up_ = false;
};

}  // namespace sluice
