// Rotate: the head of egress. Prepares segments for Spool, seals those it finished, recovers those
// that nobody sealed, and admits sealed ones to egress, in order, block by block, each with its
// worst case of memory charged. Also watches the disk budget.
//
// Works from the directory: what the queue from Spool carries may be lost. A new Rotator takes over
// from a dead one at any time. It never blocks on egress, and on the disk only for a step at a
// time, so that Spool always finds a prepared segment. One thread a stream.
#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "common/admin/conditions.h"
#include "common/base/memory_budget.h"
#include "common/pipeline/bounded_queue.h"
#include "common/pipeline/outbox.h"
#include "common/spool/disk_watch.h"
#include "common/spool/segment_reader.h"
#include "common/spool/segment_recovery.h"
#include "common/spool/segment_state.h"
#include "common/spool/spool_directory.h"
#include "common/spool/stream_directory.h"
#include "stages/books.h"
#include "stages/messages.h"

namespace sluice {

class Rotator {
 public:
  struct Options {
    std::uint64_t segment_allocate_bytes = 10 * kMiB;  // of a prepared segment
    std::size_t segments_admitted_max = 64;            // each holds a descriptor
    std::uint64_t scan_step_bytes = 4 * kMiB;
    std::chrono::nanoseconds retry_interval = std::chrono::seconds(1);
    std::chrono::nanoseconds admit_interval = std::chrono::milliseconds(5);
    std::uint32_t crashes_max = 3;  // with which a segment is looked into no more
    DiskWatch::Options disk;
    // Segments go nowhere: their lines are in the log file, so a sealed one is unlinked.
    bool keeps_locally = false;
  };

  // What it shares with others; all outlive it.
  struct Links {
    SpoolDirectory& spool;
    StreamDirectory& stream;
    BoundedQueue<PreparedSegment>& prepared;  // to Spool; survives a rebuilt egress
    MemoryBudget& budget;                     // egress's share
    Books& books;
    Conditions& conditions;
    std::atomic<bool>& pause_reading;
    const UploadStarvedAfter& upload_starved_after;
  };

  Rotator(Options options, Links links);

  // The Worker concept; common/pipeline/pipeline.h.
  Status process(RotateInput input, Outbox<Block>& out);
  Status on_idle(Outbox<Block>& out);
  Status finish(Outbox<Block>& out);
  [[nodiscard]] MonotonicTime wake_at() const;
  // After DrainEgress: nothing is left in the spool that can go through egress.
  [[nodiscard]] bool finished() const;

 private:
  struct Ready {
    SegmentId id;
    bool found = false;  // not handed over by Spool: its objects may be in the store already
  };
  struct Scan {
    SegmentId id;
    SegmentRecovery recovery;
    bool done = false;
  };
  struct Admission {
    SealedSegmentPtr segment;
    BlockWalker walker;
    std::uint32_t next_index = 0;
    std::optional<BlockWalker::BlockRange> range;  // read, not yet dispatched
  };

  void list(bool first);
  void prepare();
  void note_consumption();
  [[nodiscard]] bool needs_successor() const;
  void discard_stale();
  bool seal_one();
  Status seal(FinishedSegment& segment);
  bool examine_one();
  void sort(const SegmentId& id, SegmentState state);
  bool scan_step();
  Status conclude_scan();
  bool unlink_one_empty();
  void set_aside(const SegmentId& id, const std::string& reason);
  void account(const SegmentId& id, std::uint64_t pieces);
  void forget(const SegmentId& id);
  void note_missing(const SegmentId& id);
  void retry_later(std::string_view what, const SegmentId& id, const Error& error);
  void end_trouble();

  Status admit(Outbox<Block>& out);
  Status begin_admission();
  void finish_locally(const SegmentState& state);
  Result<BlockWalker::BlockRange> next_range();
  bool dispatch(Outbox<Block>& out);
  std::optional<Charge> room_for(std::size_t bytes);

  [[nodiscard]] bool crashed_too_often(const SegmentId& id) const;
  void report_crashes(const SegmentId& id);
  void forget_its_crashes(const SegmentId& id) const;
  Result<SegmentState> inspect_ready(const SegmentId& id);
  [[nodiscard]] BlockWalker::BlockRange next_raw_range() const;

  const Options options_;
  Links links_;
  DiskWatch disk_;
  bool listed_ = false;
  bool draining_ = false;
  bool busy_ = false;     // more to do at once
  bool blocked_ = false;  // an admission waits for room
  std::uint64_t unhanded_seen_ = 0;
  MonotonicTime retry_at_{};
  std::set<std::uint64_t> known_;  // numbers of the segments in any of the following
  std::deque<FinishedSegment> to_seal_;
  std::deque<SegmentId> to_examine_;
  std::optional<Scan> scan_;
  std::deque<SegmentId> empty_;
  // By (place in the line, number): the number itself, or the end of the line once postponed.
  std::map<std::pair<std::uint64_t, std::uint64_t>, Ready> ready_;
  std::optional<Admission> admission_;
  std::map<std::uint64_t, SegmentId> in_egress_;
  std::set<std::uint64_t> parked_;  // out of egress until Upload says `postponed`; any number
  std::uint64_t blocks_dispatched_ = 0;

  // Preparing.
  MonotonicTime prepare_retry_at_{};
  MonotonicTime consumption_at_{};
  std::uint64_t prepared_total_ = 0;
  std::uint64_t consumed_before_ = 0;
  std::size_t prepare_target_ = 2;
};

}  // namespace sluice
