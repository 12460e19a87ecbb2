// Upload: the last stage. Converted blocks come in, in any order; each segment's objects go to the
// store; what became of a segment goes out to Rotate. When every object of a segment is confirmed
// it writes the ledger's lines and unlinks the segment: from then on the store alone has the
// events.
//
// One thread. All requests run beside each other in ObjectStore::poll(), which stands in place of
// the wait for input; completions run inside it. Blocks only for the spool's own files.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/admin/conditions.h"
#include "common/base/live_ratio.h"
#include "common/pipeline/outbox.h"
#include "common/platform/clock.h"
#include "common/s3/leftover_uploads.h"
#include "common/s3/object_store.h"
#include "common/s3/object_upload.h"
#include "common/s3/retry_policy.h"
#include "common/s3/upload_gate.h"
#include "common/spool/ledger.h"
#include "common/spool/stream_directory.h"
#include "stages/books.h"
#include "stages/messages.h"
#include "stages/upload_segment.h"

namespace sluice {

struct UploadOptions {
  std::size_t concurrency = 8;                        // UPLOAD_CONCURRENCY
  std::uint64_t part_bytes = 16 * kMiB;               // one PUT up to this; at least 5 MiB for S3
  std::uint32_t refusals_max = 5;                     // MAX_RETRIES, of an object that is refused
  std::chrono::milliseconds retry_base_delay{1'000};  // RETRY_BASE_DELAY
  std::chrono::milliseconds retry_cap{60'000};
  std::chrono::milliseconds probe_interval{60'000};  // of a prefix that refuses to be written
  std::uint32_t failures_to_postpone = 10;
  std::uint64_t seed = 0;                               // of the jitter
  std::uint32_t converter_version = kConverterVersion;  // ours
  // Where uploads that an earlier process left open are looked for; none: nowhere.
  std::vector<std::string> leftover_prefixes = {};
  // Set (and wake() called) to end finish() with uploads still open; what remains is on disk.
  const std::atomic<bool>* stop = nullptr;
};

class Uploader final : private ObjectUpload::Observer {
 public:
  // All of it outlives the Uploader. The store serves this Uploader alone.
  struct Outside {
    ObjectStore& store;
    StreamDirectory& stream;
    Ledger& ledger;
    Books& books;
    Conditions& conditions;
    const Clock& clock;
    UploadStarvedAfter& starved_after;
    LiveRatio& object_ratio;  // bytes of data objects per byte of segments' runs
  };
  Uploader(UploadOptions options, Outside outside);
  // Takes back the conditions that it raised of the store: the next one looks for itself.
  ~Uploader() override;
  Uploader(const Uploader&) = delete;
  Uploader& operator=(const Uploader&) = delete;

  Status process(ConvertedBlock block, Outbox<SegmentOutcome>& out);
  Status on_idle(Outbox<SegmentOutcome>& out);
  // Waits for the uploads of all segments whose blocks have come; until options.stop.
  Status finish(Outbox<SegmentOutcome>& out);
  [[nodiscard]] MonotonicTime wake_at() const;
  void poll(MonotonicTime until) { outside_.store.poll(until); }
  void wake() { outside_.store.wake(); }  // thread-safe

  // Segments that are here, for /status. Thread-safe.
  [[nodiscard]] std::size_t segments_open() const { return segments_open_.load(); }

 private:
  enum class Ending : std::uint8_t {
    none,
    done,
    postponed,
    parked,  // postponed once its quarantine prefix takes objects again
    set_aside,
  };
  struct Job {
    explicit Job(SegmentUpload given) : upload(std::move(given)) {}
    SegmentUpload upload;
    Ending ending = Ending::none;
    std::string reason;                // of set_aside
    std::string answer;                // of the store, of set_aside
    bool looking = false;              // waits for the answers to all HEADs
    bool rejects_settled = false;      // their list is durable, or need not be
    bool quarantine_released = false;  // the objects of what is rejected may appear
    bool lines_written = false;        // the ledger has its objects
    bool all_found = false;            // an earlier process rejected nothing and stored all of it
    MonotonicTime not_before{};        // after a failure of the disk
  };
  // What an earlier pass of a postponed segment has brought in.
  struct Confirmed {
    PerObjectRole objects{};
    std::uint32_t lost = 0;  // how often the store forgot a multipart upload of it
  };

  void on_attempt(const ObjectUpload& upload, bool again) override;
  void on_failure(const ObjectUpload& upload, const StoreError& error,
                  std::chrono::milliseconds delay) override;

  Job& job_of(const SealedSegmentPtr& segment);
  // Moves everything on as far as it goes without waiting.
  Status drive(Outbox<SegmentOutcome>& out);
  void start_requests();
  void advance(Job& job);
  void settle_lookups(Job& job);
  // No PUT of this segment leaves before.
  MonotonicTime writes_from(const SealedSegment& segment);
  void settle_rejects(Job& job);
  void release_quarantine(Job& job);
  void refuse_to_mix(Job& job);
  void settle_objects(Job& job);
  void let_go_of_quarantine(Job& job);
  [[nodiscard]] bool only_quarantine_is_held(const Job& job) const;
  void begin_ending(Job& job, Ending ending);
  void set_aside(Job& job, const ObjectUpload& upload);
  void set_raw_aside(Job& job);
  [[nodiscard]] bool may_end(const Job& job) const;
  // True when the outcome may go out.
  bool end(Job& job);
  bool end_done(Job& job);
  Status keep_damaged(const Job& job);
  bool end_set_aside(Job& job);
  bool disk_did(const Status& status, Job& job, std::string_view what);
  void write_lines(Job& job);
  void release_parked(Outbox<SegmentOutcome>& out);
  void flush_ledger();
  void count_done(const Job& job);
  [[nodiscard]] bool starved() const;
  void begin_leftovers();
  void end_leftovers();
  [[nodiscard]] bool is_known_segment(const SegmentId& id);
  void report_conditions();
  void report_refused_prefixes();
  [[nodiscard]] bool stopping() const {
    return options_.stop != nullptr && options_.stop->load(std::memory_order_relaxed);
  }

  UploadOptions options_;
  Outside outside_;
  const MonotonicTime started_at_;
  UploadGate gate_;
  Backoff backoff_;
  std::shared_ptr<LeftoverUploads> leftovers_;          // until it is done
  std::optional<std::set<SegmentId>> ledger_segments_;  // read when it is first needed
  std::map<SegmentId, std::unique_ptr<Job>> jobs_;      // the oldest segment first
  std::map<SegmentId, Confirmed> confirmed_;            // of segments that were postponed
  std::map<std::string, std::set<SegmentId>> parked_;   // by the prefix that refuses them
  std::set<std::string> quarantine_prefixes_;
  std::map<std::string, std::string> refused_;  // by prefix: the code of the condition raised
  std::optional<std::string> unavailable_;      // the code of the condition raised
  MonotonicTime ledger_not_before_{};           // after a failure of the disk
  std::uint64_t blocks_taken_ = 0;
  bool said_waiting_ = false;  // for an earlier process of another version
  std::atomic<std::size_t> segments_open_{0};
};

}  // namespace sluice
