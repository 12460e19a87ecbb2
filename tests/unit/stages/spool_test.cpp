// Spool: group commit, replies, switching.
#include "stages/spool.h"

#include <doctest/doctest.h>

#include "spool_rig.h"

using namespace sluice;
using Op = FaultFilesystem::Op;

namespace {

std::uint64_t syncs(const SpoolWorld& world) { return world.filesystem.count(Op::sync, ".wal"); }

}  // namespace

TEST_CASE("no_reply_precedes_the_sync_and_replies_keep_their_order") {
  SpoolWorld world;
  SpoolRig rig(world);
  auto a = rig.connect();
  auto b = rig.connect();
  REQUIRE(rig.spooler->process(rig.batch(a, {"<a/>"}), rig.finished).ok());
  REQUIRE(rig.spooler->process(rig.batch(b, {"<b/>"}, ConnectionEnd::finished), rig.finished).ok());
  REQUIRE(rig.spooler->process(rig.batch(a, {}, ConnectionEnd::finished), rig.finished).ok());
  const std::uint64_t before = syncs(world);
  CHECK(rig.replies.empty());
  // The reply comes in the turn of the sync, and the sync comes first.
  bool synced_before_reply = false;
  world.filesystem.on_operation = [&](Op op, const Path&) {
    if (op == Op::sync) {
      synced_before_reply = rig.replies.empty();
    }
  };
  REQUIRE(rig.idle().ok());
  world.filesystem.on_operation = nullptr;
  CHECK(synced_before_reply);
  CHECK(syncs(world) > before);
  REQUIRE(rig.replies.size() == 2);
  CHECK(rig.replies[0].connection == b);
  CHECK(rig.replies[1].connection == a);
  CHECK(rig.replies[0].durable);
  CHECK(rig.books.group_commits.load() == 1);
  CHECK(rig.books.events_durable.load() == 2);
}

TEST_CASE("without_anybody_waiting_the_interval_or_the_bytes_start_a_sync") {
  SpoolWorld world;
  SpoolRig::Options options;
  options.spooler.sync_bytes = 10'000;
  SpoolRig rig(world, options);
  auto connection = rig.connect();
  REQUIRE(rig.give(rig.batch(connection, {"<a/>"})).ok());
  CHECK(rig.books.group_commits.load() == 0);
  CHECK(rig.spooler->wake_at() == world.clock.now() + std::chrono::milliseconds(50));
  world.clock.advance(std::chrono::milliseconds(50));
  REQUIRE(rig.idle().ok());
  CHECK(rig.books.group_commits.load() == 1);
  REQUIRE(rig.give(rig.batch(connection, {std::string(9'999, 'x')})).ok());
  CHECK(rig.books.group_commits.load() == 2);
}

TEST_CASE("a_batch_without_events_waits_for_its_forerunners_and_not_for_a_sync") {
  SpoolWorld world;
  SpoolRig rig(world);
  const std::uint64_t before = syncs(world);
  auto connection = rig.connect();
  REQUIRE(
      rig.spooler->process(rig.batch(connection, {}, ConnectionEnd::finished), rig.finished).ok());
  REQUIRE(rig.replies.size() == 1);
  CHECK(rig.replies[0].durable);
  CHECK(syncs(world) == before);
}

TEST_CASE("a_segment_is_switched_on_size_age_and_request") {
  SpoolWorld world;
  SpoolRig::Options options;
  options.spooler.segment_run_bytes = 1000;
  SpoolRig rig(world, options);
  auto connection = rig.connect();
  REQUIRE(rig.give(rig.batch(connection, {std::string(999, 'x')})).ok());
  REQUIRE(rig.handed_over.size() == 1);
  CHECK(rig.handed_over[0].second == "size");

  REQUIRE(rig.give(rig.batch(connection, {"<a/>"}, ConnectionEnd::finished)).ok());
  CHECK(rig.handed_over.size() == 1);
  CHECK(rig.spooler->wake_at() == world.clock.now() + std::chrono::seconds(60));
  world.clock.step_wall(-std::chrono::hours(24));  // p6: by the monotonic clock
  world.clock.advance(std::chrono::seconds(59));
  REQUIRE(rig.idle().ok());
  CHECK(rig.handed_over.size() == 1);
  world.clock.advance(std::chrono::seconds(1));
  REQUIRE(rig.idle().ok());
  REQUIRE(rig.handed_over.size() == 2);
  CHECK(rig.handed_over[1].second == "age");

  REQUIRE(rig.give(SealNow{}).ok());
  CHECK(rig.handed_over.size() == 2);  // nothing in it
  REQUIRE(rig.spooler->process(rig.batch(connection, {"<b/>"}), rig.finished).ok());
  REQUIRE(rig.give(SealNow{}).ok());
  REQUIRE(rig.handed_over.size() == 3);
  CHECK(rig.handed_over[2].second == "request");

  rig.pause_reading = true;
  REQUIRE(rig.give(rig.batch(connection, {"<c/>"}, ConnectionEnd::finished)).ok());
  REQUIRE(rig.handed_over.size() == 4);
  CHECK(rig.handed_over[3].second == "watermark");
  CHECK(rig.handed_over[3].first.num > rig.handed_over[2].first.num);
}

TEST_CASE("a_prepared_segment_is_taken_and_one_numbered_below_the_last_is_discarded") {
  SpoolWorld world;
  SpoolRig rig(world);
  auto two = rig.stream->create_segments(2, 0);
  REQUIRE(two);
  const SegmentId first = (*two)[0].header.id;
  const SegmentId second = (*two)[1].header.id;
  PreparedSegment later{second, std::move((*two)[1].file)};
  PreparedSegment earlier{first, std::move((*two)[0].file)};
  REQUIRE(rig.prepared.try_push(later));
  REQUIRE(rig.prepared.try_push(earlier));
  auto connection = rig.connect();
  REQUIRE(rig.give(rig.batch(connection, {"<a/>"})).ok());
  REQUIRE(rig.give(SealNow{}).ok());
  REQUIRE(rig.give(rig.batch(connection, {"<b/>"})).ok());
  REQUIRE(rig.give(SealNow{}).ok());
  REQUIRE(rig.handed_over.size() == 2);
  CHECK(rig.handed_over[0].first == second);
  CHECK(rig.handed_over[1].first.num > second.num);
  CHECK_FALSE(world.filesystem.info(segment_path(rig.stream->path(), first)).ok());
}

TEST_CASE("where_rotates_queue_is_full_the_segment_is_left_for_its_listing") {
  struct FullOutbox final : Outbox<FinishedSegment> {
    bool push(FinishedSegment) override { return false; }
    bool try_push(FinishedSegment&) override { return false; }
  } full;
  SpoolWorld world;
  SpoolRig rig(world);
  REQUIRE(rig.spooler->process(rig.batch(rig.connect(), {"<a/>"}), full).ok());
  REQUIRE(rig.spooler->process(SealNow{}, full).ok());
  CHECK(rig.stream->finished_unhanded.load() == 1);
  REQUIRE(rig.egress().ok());
  CHECK(stored_events(world) == std::vector<std::string>{"<a/>"});
  CHECK(rig.difference() == 0);
}

TEST_CASE("a_group_that_would_pass_the_segments_cap_goes_to_the_next_segment") {
  SpoolWorld world;
  SpoolRig::Options options;
  options.spooler.segment_bytes_max = kRecordsBegin + 20'000;
  SpoolRig rig(world, options);
  auto connection = rig.connect();
  for (int i = 0; i < 4; ++i) {
    REQUIRE(
        rig.give(rig.batch(connection, {std::string(9'000, 'x')}, ConnectionEnd::finished)).ok());
  }
  REQUIRE(rig.handed_over.size() == 1);
  CHECK(rig.handed_over[0].second == "size");
}

TEST_CASE("a_finished_segment_is_handed_over_before_a_listing_may_find_it") {
  SpoolWorld world;
  SpoolRig rig(world);
  struct Watching final : Outbox<FinishedSegment> {
    explicit Watching(StreamDirectory& given) : stream(given) {}
    bool push(FinishedSegment segment) override { return try_push(segment); }
    bool try_push(FinishedSegment& segment) override {
      CHECK(stream.writing_num.load() == segment.id.num);
      ++pushed;
      return true;
    }
    StreamDirectory& stream;
    int pushed = 0;
  } out(*rig.stream);
  REQUIRE(rig.spooler->process(rig.batch(rig.connect(), {"<a/>"}), out).ok());
  REQUIRE(rig.spooler->process(SealNow{}, out).ok());
  CHECK(out.pushed == 1);
}

TEST_CASE("an_age_that_is_due_does_not_wake_spool_before_what_is_pending") {
  SpoolWorld world;
  SpoolRig::Options options;
  options.spooler.segment_age = std::chrono::seconds(10);
  options.spooler.sync_interval = std::chrono::seconds(5);
  SpoolRig rig(world, options);
  REQUIRE(rig.give(rig.batch(rig.connect(), {"<a/>"}, ConnectionEnd::finished)).ok());
  world.clock.advance(std::chrono::seconds(9));
  REQUIRE(rig.give(rig.batch(rig.connect(), {"<b/>"})).ok());
  world.clock.advance(std::chrono::seconds(2));
  REQUIRE(rig.idle().ok());
  CHECK(rig.spooler->wake_at() > world.clock.now());
  world.clock.advance(std::chrono::seconds(3));
  REQUIRE(rig.idle().ok());
  CHECK(rig.handed_over.size() == 1);
}
