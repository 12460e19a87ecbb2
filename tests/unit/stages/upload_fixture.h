// An Uploader with a store in memory that does everything wrong, and a spool on a disk that fails.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/spool/segment_files.h"
#include "fakes/fault_filesystem.h"
#include "fakes/memory_object_store.h"
#include "stages/upload.h"
#include "test_clock.h"

namespace sluice::upload_test {

using Kind = SegmentOutcome::Kind;
using std::chrono::milliseconds;
using std::chrono::seconds;

inline const StoreError kUnavailable{
    .kind = StoreErrorKind::retry, .http_status = 503, .code = "Down"};
inline const StoreError kDenied{.kind = StoreErrorKind::configuration,
                                .http_status = 403,
                                .code = "AccessDenied",
                                .advice = "Allow it."};

struct BlockText {
  std::vector<std::string> events;
  std::vector<std::string> rejected;
};

struct Fixture {
  explicit Fixture(UploadOptions given = {})
      : options(given), ledger(filesystem, clock, {"/spool"}) {
    REQUIRE(filesystem.create_directories("/spool/xml"));
    REQUIRE(filesystem.create_directories("/spool/quarantine"));
    StreamDirectory::Options stream_options;
    stream_options.directory = "/spool/xml";
    stream_options.quarantine = "/spool/quarantine";
    stream.emplace(filesystem, clock, stream_options);
    restart();
  }

  void restart() {
    uploader.reset();
    uploader = std::make_unique<Uploader>(options, Uploader::Outside{.store = store,
                                                                     .stream = *stream,
                                                                     .ledger = ledger,
                                                                     .books = books,
                                                                     .conditions = conditions,
                                                                     .clock = clock,
                                                                     .starved_after = starved_after,
                                                                     .object_ratio = object_ratio});
  }

  // A segment that is on the disk, as far as Upload sees it, and one behind it.
  std::shared_ptr<SealedSegment> make_segment(std::uint64_t pieces) {
    auto made = stream->create_segments(1, 0);
    REQUIRE(made);
    auto segment = std::make_shared<SealedSegment>();
    segment->id = (*made)[0].header.id;
    segment->path = segment_path(stream->path(), segment->id);
    segment->settings.instance = "gate";
    segment->settings.format = OutputFormat::jsonl;
    segment->seal.summary.events = pieces;
    segment->seal.summary.first_received_at = WallTime(seconds(1'700'000'000));
    segment->seal.summary.digest.fill(static_cast<std::uint8_t>(segment->id.num));
    REQUIRE(stream->create_segments(1, 0));
    return segment;
  }

  std::vector<ConvertedBlock> blocks_of(const SealedSegmentPtr& segment,
                                        const std::vector<BlockText>& texts) {
    std::vector<ConvertedBlock> blocks;
    std::uint32_t index = 0;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      ConvertedBlock block;
      block.segment = segment;
      block.index = static_cast<std::uint32_t>(i);
      block.last = i + 1 == texts.size();
      std::string body;
      for (const std::string& event : texts[i].events) {
        body += event + "\n";
        index += 1;
      }
      auto room = budget.try_charge(body.size() + 4096);
      REQUIRE(room);
      block.room = std::move(*room);
      block.body = Buffer::copy_of(as_bytes(body), {});
      block.events = texts[i].events.size();
      for (const std::string& bytes : texts[i].rejected) {
        RejectedPiece piece;
        piece.sequence = sequence_of(segment->id.num, index++);
        piece.bytes = bytes;
        piece.reason = "not well-formed";
        piece.line = 3;
        piece.column = 7;
        piece.received_at = WallTime(milliseconds(1'700'000'000'123));
        block.rejected.push_back(std::move(piece));
      }
      block.pieces = block.events + block.rejected.size();
      blocks.push_back(std::move(block));
    }
    return blocks;
  }

  void give(std::vector<ConvertedBlock> blocks) {
    for (ConvertedBlock& block : blocks) {
      REQUIRE(uploader->process(std::move(block), out));
    }
  }
  void give(const SealedSegmentPtr& segment, const std::vector<BlockText>& texts) {
    give(blocks_of(segment, texts));
  }

  // Lets time pass until `done`; false when that takes more than `limit` of it.
  template <class Done>
  bool run_until(const Done& done, std::chrono::nanoseconds limit = std::chrono::hours(10)) {
    const MonotonicTime end = clock.now() + limit;
    for (int i = 0; i < 1'000'000 && clock.now() < end; ++i) {
      REQUIRE(uploader->on_idle(out));
      if (done()) {
        return true;
      }
      if (store.in_flight() > 0 && store.answers) {
        store.poll(clock.now());
      } else {
        clock.advance(seconds(1));
      }
    }
    return false;
  }
  bool run_to_outcomes(std::size_t count) {
    return run_until([&] { return out.items.size() >= count; });
  }

  [[nodiscard]] bool on_disk(const SealedSegment& segment) {
    return filesystem.info(segment.path).ok();
  }
  [[nodiscard]] bool raised(std::string_view name) const {
    const auto current = conditions.current();
    return std::any_of(current.begin(), current.end(),
                       [&](const auto& condition) { return condition.name.starts_with(name); });
  }
  [[nodiscard]] const MemoryObjectStore::Object* object(std::string_view suffix) const {
    for (const auto& [key, stored] : store.objects) {
      if (key.ends_with(suffix)) {
        return &stored;
      }
    }
    return nullptr;
  }
  [[nodiscard]] std::vector<LedgerEntry> lines() {
    std::vector<LedgerEntry> all;
    REQUIRE(read_ledger(filesystem, "/spool", [&](const LedgerEntry& entry) {
      all.push_back(entry);
      return true;
    }));
    return all;
  }

  UploadOptions options;
  FaultFilesystem filesystem;
  ManualClock clock;
  MemoryBudget budget{256 * kMiB};
  Books books;
  Conditions conditions;
  UploadStarvedAfter starved_after{0};
  LiveRatio object_ratio;
  std::optional<StreamDirectory> stream;
  Ledger ledger;
  MemoryObjectStore store;
  VectorOutbox<SegmentOutcome> out;
  std::unique_ptr<Uploader> uploader;
};

}  // namespace sluice::upload_test
