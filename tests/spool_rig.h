// A spool on a failing disk with its Spooler and Rotator on the test's thread, driven as a Pipeline
// drives them, and a store that confirms everything: what a test of Spool and Rotate needs.
#pragma once

#include <unistd.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/spool/segment_files.h"
#include "common/spool/segment_image.h"
#include "common/spool/segment_reader.h"
#include "common/spool/spool_directory.h"
#include "fakes/fault_filesystem.h"
#include "stages/rotate.h"
#include "stages/spool.h"
#include "test_clock.h"

namespace sluice {

// What outlives a crash: the disk, the clock and the store.
struct SpoolWorld {
  FaultFilesystem filesystem;
  ManualClock clock;
  std::uint64_t random_state = 1;
  std::map<SegmentId, std::vector<std::string>> store;  // events by segment, in order
  std::map<SegmentId, std::string> digests;
  bool store_changed = false;  // a segment came a second time with other events: never

  std::uint64_t random() { return random_state = random_state * 6364136223846793005U + 99; }
};

inline SegmentSettings rig_settings() {
  SegmentSettings settings;
  settings.block_bytes = 4096;
  settings.instance = "rig";
  settings.destination = "file:///objects";
  return settings;
}

// One process.
class SpoolRig {
 public:
  struct Options {
    Spooler::Options spooler;
    Rotator::Options rotator;
    std::optional<LogFile::Options> log_file = {};  // with one it is the logs stream
    bool keeps_log = true;                          // ... which may keep none all the same
    std::size_t prepared_capacity = 4;
    std::size_t rotate_capacity = 64;
    std::size_t budget_bytes = 64 * kMiB;
  };

  explicit SpoolRig(SpoolWorld& world) : SpoolRig(world, Options()) {}
  SpoolRig(SpoolWorld& world, Options options)
      : world_(world),
        options_(options),
        budget(options.budget_bytes),
        prepared(options.prepared_capacity),
        to_rotate(options.rotate_capacity) {
    SpoolDirectory::Options spool_options;
    spool_options.path = "/spool";
    spool_options.destination = rig_settings().destination;
    spool_options.owner = static_cast<std::uint32_t>(::geteuid());
    spool_options.random = [&world] { return world.random(); };
    auto opened = SpoolDirectory::open(world.filesystem, world.clock, spool_options);
    if (auto* refusal = std::get_if<SpoolRefusal>(&opened)) {
      failure = refusal->error.message;
      return;
    }
    spool = std::move(std::get<0>(opened));
    auto made = spool->stream(of_stream(), rig_settings());
    if (!made) {
      failure = made.error().message;
      return;
    }
    stream = std::move(*made);
    if (options.log_file && options.keeps_log) {
      log = std::make_unique<SpoolLog>(*stream, *options.log_file);
      if (Status status = log->begin(); !status) {
        failure = status.error().message;
        return;
      }
    }
    spooler.emplace(options.spooler,
                    Spooler::Links{*stream, prepared, books, conditions,
                                   [this](Reply reply) { replies.push_back(std::move(reply)); },
                                   pause_reading, draining, object_ratio, log.get()});
    new_rotator();
  }
  SpoolRig(const SpoolRig&) = delete;
  SpoolRig& operator=(const SpoolRig&) = delete;

  // As after a failure of egress: all that was on its way is gone.
  void new_rotator() {
    uploading_.clear();
    starved_after.store(0);
    rotator.emplace(options_.rotator, Rotator::Links{*spool, *stream, prepared, budget, books,
                                                     conditions, pause_reading, starved_after});
  }

  [[nodiscard]] Stream of_stream() const { return options_.log_file ? Stream::logs : Stream::xml; }

  // ---- ingest

  ConnectionPtr connect() {
    auto connection = std::make_shared<Connection>();
    connection->id = ++connections_;
    return connection;
  }

  Batch batch(const ConnectionPtr& connection, const std::vector<std::string>& events,
              ConnectionEnd end = ConnectionEnd::open) const {
    Batch made;
    made.connection = connection;
    made.end = end;
    made.first_byte_at = world_.clock.wall_now();
    std::string run;
    for (const std::string& event : events) {
      made.pieces.push_back(
          {static_cast<std::uint32_t>(run.size()), static_cast<std::uint32_t>(event.size())});
      run += event + '\n';
    }
    made.run_bytes = static_cast<std::uint32_t>(run.size());
    made.events = static_cast<std::uint32_t>(events.size());
    if (!run.empty()) {
      made.run.push_back(Buffer::copy_of(as_bytes(run), Charge()));
    }
    return made;
  }

  // One turn of Spool's thread with this input, and one without.
  Status give(SpoolInput input) {
    Status status = spooler->process(std::move(input), finished);
    return status ? idle() : status;
  }
  Status idle() {
    Status status = spooler->on_idle(finished);
    hand_over();
    return status;
  }
  Status finish_ingest() {
    Status status = spooler->finish(finished);
    hand_over();
    return status;
  }
  void hand_over() {
    for (FinishedSegment& segment : finished.items) {
      handed_over.push_back({segment.id, segment.reason});
      RotateInput input(std::move(segment));
      CHECK_THAT(to_rotate.try_push(input));
    }
    finished.items.clear();
  }

  // ---- egress

  // Turns of Rotate's thread and of a store that confirms at once, until nothing moves any more.
  Status egress() {
    for (int quiet = 0; quiet < 3;) {
      bool moved = false;
      while (auto input = to_rotate.try_pop()) {
        moved = true;
        if (Status status = rotator->process(std::move(*input), blocks); !status) {
          return status;
        }
      }
      if (Status status = rotator->on_idle(blocks); !status) {
        return status;
      }
      moved = moved || rotator->wake_at() <= world_.clock.now() || !blocks.items.empty();
      for (Block& block : std::exchange(blocks.items, {})) {
        store(std::move(block));
      }
      quiet = moved ? 0 : quiet + 1;
    }
    return {};
  }

  void store(Block block) {
    starved_after.fetch_add(1);  // this store sends nothing before a segment is whole
    const SealedSegment& segment = *block.segment;
    if (segment.raw) {
      store_image(block);
      return;
    }
    Buffer buffer = Buffer::allocate(block.end - block.begin, Charge());
    RecordBlock records;
    if (!read_records(*segment.file, segment.header, {block.begin, block.end}, buffer, records)) {
      return;
    }
    if (world_.filesystem.powered_off()) {
      return;  // what was read are the zeros of a dead disk, and nobody is there to upload them
    }
    damaged_bytes += records.damaged_bytes;
    auto& events = uploading_[segment.id];
    for (const RecordView& record : records.records) {
      for (const Piece& piece : record.pieces) {
        events.emplace_back(as_text(record.run.subspan(piece.begin, piece.length)));
      }
    }
    block_order.emplace_back(segment.id.num, block.index);
    if (block.last) {
      confirm(segment, std::move(events));
      uploading_.erase(segment.id);
    }
  }

  void store_image(const Block& block) {
    const SealedSegment& segment = *block.segment;
    std::string bytes(block.end - block.begin, '?');
    CHECK_THAT(read_image(*segment.file, segment.header, segment.seal, block.begin,
                          std::as_writable_bytes(std::span(bytes)))
                   .ok());
    CHECK_THAT(block.room.bytes() >= bytes.size() && images[segment.id].size() == block.begin);
    images[segment.id] += bytes;
    if (block.last && set_segment_aside(*stream, segment.id, {.reason = "raw"}).ok()) {
      books.pieces_set_aside += segment.seal.summary.pieces();
      found_at_start[segment.id] = segment.found_at_start;
      RotateInput input(SegmentOutcome{segment.id, of_stream(), SegmentOutcome::Kind::set_aside});
      CHECK_THAT(to_rotate.try_push(input));
    }
  }

  void confirm(const SealedSegment& segment, std::vector<std::string> events) {
    found_at_start[segment.id] = segment.found_at_start;
    const auto [place, fresh] = world_.store.emplace(segment.id, events);
    const std::string digest = to_hex(segment.seal.summary.digest);
    const bool same_digest = world_.digests.emplace(segment.id, digest).first->second == digest;
    world_.store_changed =
        world_.store_changed || (!fresh && (place->second != events || !same_digest));
    const auto kind = postpone_first ? SegmentOutcome::Kind::postponed : SegmentOutcome::Kind::done;
    if (postpone_first || unlink_segment(*stream, segment.id).ok()) {
      if (!postpone_first) {
        books.events_uploaded += events.size();
      }
      RotateInput input(SegmentOutcome{segment.id, of_stream(), kind});
      CHECK_THAT(to_rotate.try_push(input));
    }
    postpone_first = false;
  }

  [[nodiscard]] std::int64_t difference() const {
    const auto value = [](const Books::Counter& counter) {
      return static_cast<std::int64_t>(counter.load());
    };
    return value(books.pieces_found_at_start) + value(books.events_durable) +
           value(books.malformed_durable) -
           (value(books.events_uploaded) + value(books.pieces_in_spool) +
            value(books.pieces_set_aside) + value(books.pieces_lost_to_damage));
  }

 private:
  SpoolWorld& world_;
  Options options_;
  std::uint64_t connections_ = 0;
  std::map<SegmentId, std::vector<std::string>> uploading_;

 public:
  std::string failure;  // of the start
  std::unique_ptr<SpoolDirectory> spool;
  std::unique_ptr<StreamDirectory> stream;
  std::unique_ptr<SpoolLog> log;
  Books books;
  Conditions conditions;
  MemoryBudget budget;
  std::atomic<bool> pause_reading{false};
  std::atomic<bool> draining{false};
  UploadStarvedAfter starved_after{0};
  LiveRatio object_ratio;
  BoundedQueue<PreparedSegment> prepared;
  BoundedQueue<RotateInput> to_rotate;
  VectorOutbox<FinishedSegment> finished;
  VectorOutbox<Block> blocks;
  std::vector<Reply> replies;
  std::vector<std::pair<SegmentId, std::string>> handed_over;  // with their reasons
  std::vector<std::pair<std::uint64_t, std::uint32_t>> block_order;
  std::map<SegmentId, bool> found_at_start;
  std::map<SegmentId, std::string> images;  // of raw segments
  std::uint64_t damaged_bytes = 0;
  bool postpone_first = false;
  std::optional<Spooler> spooler;
  std::optional<Rotator> rotator;
};

// All events in the store, in the order of the segments.
inline std::vector<std::string> stored_events(const SpoolWorld& world) {
  std::vector<std::string> all;
  for (const auto& [id, events] : world.store) {
    all.insert(all.end(), events.begin(), events.end());
  }
  return all;
}

}  // namespace sluice
