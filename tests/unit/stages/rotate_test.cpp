// Rotate: sealing, recovery, admission.
#include "stages/rotate.h"

#include <doctest/doctest.h>

#include <cerrno>

#include "segment_builder.h"
#include "spool_rig.h"

using namespace sluice;
using Op = FaultFilesystem::Op;

namespace {

// Writes `events`, each a batch of its own, as one segment.
void write_segment(SpoolRig& rig, const std::vector<std::string>& events) {
  auto connection = rig.connect();
  for (const std::string& event : events) {
    REQUIRE(rig.give(rig.batch(connection, {event})).ok());
  }
  REQUIRE(rig.give(SealNow{}).ok());
}

std::vector<std::string> names_in(SpoolWorld& world, const Path& directory) {
  std::vector<std::string> names;
  const auto entries = world.filesystem.list(directory);
  for (const auto& entry : *entries) {
    names.push_back(entry.name);
  }
  return names;
}

}  // namespace

TEST_CASE("what_spool_finished_goes_through_egress_in_order_and_the_books_balance") {
  SpoolWorld world;
  SpoolRig rig(world);
  std::vector<std::string> sent;
  for (int segment = 0; segment < 5; ++segment) {
    std::vector<std::string> events;
    for (int i = 0; i < 20; ++i) {
      events.push_back("<e n=\"" + std::to_string(segment * 100 + i) + "\">" +
                       std::string(500, 'x') + "</e>");
    }
    sent.insert(sent.end(), events.begin(), events.end());
    write_segment(rig, events);
  }
  REQUIRE(rig.egress().ok());
  CHECK(stored_events(world) == sent);
  CHECK(std::is_sorted(rig.block_order.begin(), rig.block_order.end()));
  CHECK(rig.block_order.size() > 10);
  CHECK(rig.difference() == 0);
  CHECK(rig.books.pieces_in_spool.load() == 0);
  CHECK(rig.books.segments_in_spool.load() == 0);
  CHECK_FALSE(rig.found_at_start.begin()->second);
  CHECK(rig.prepared.size() >= 2);
}

TEST_CASE("the_newest_segment_is_never_unlinked_before_its_successor_is_durable") {
  SpoolWorld world;
  SpoolRig rig(world);
  write_segment(rig, {"<a/>"});
  world.filesystem.on_operation = [&](Op op, const Path& path) {
    if (op == Op::unlink && path.extension() == ".wal") {
      const auto id = rig.handed_over[0].first;
      CHECK((path != segment_path("/spool/xml", id) || rig.stream->newest_durable_num() > id.num));
    }
  };
  REQUIRE(rig.egress().ok());
  world.filesystem.on_operation = nullptr;
  CHECK(stored_events(world) == std::vector<std::string>{"<a/>"});
  CHECK_FALSE(names_in(world, "/spool/xml").empty());
}

TEST_CASE("a_segment_whose_successor_spool_made_itself_is_not_stuck_behind_stale_prepared_ones") {
  SpoolWorld world;
  SpoolRig::Options options;
  options.prepared_capacity = 1;
  SpoolRig rig(world, options);
  REQUIRE(rig.egress().ok());  // prepares one
  write_segment(rig, {"<a/>"});
  write_segment(rig, {"<b/>"});  // made by Spool, above all others
  REQUIRE(rig.egress().ok());
  CHECK(stored_events(world) == std::vector<std::string>{"<a/>", "<b/>"});
}

TEST_CASE("drain_ends_once_everything_is_through_and_the_next_start_finds_nothing") {
  SpoolWorld world;
  {
    SpoolRig rig(world);
    write_segment(rig, {"<a/>"});
    REQUIRE(rig.finish_ingest().ok());
    RotateInput drain(DrainEgress{});
    REQUIRE(rig.to_rotate.try_push(drain));
    CHECK_FALSE(rig.rotator->finished());
    REQUIRE(rig.egress().ok());
    CHECK(rig.rotator->finished());
    REQUIRE(rig.rotator->finish(rig.blocks).ok());
  }
  SpoolRig next(world);
  CHECK(next.spool->empty_at_start());
  REQUIRE(next.egress().ok());
  CHECK(next.books.pieces_found_at_start.load() == 0);
  CHECK(world.store.size() == 1);
}

TEST_CASE("p2_a_start_reads_a_bounded_number_of_times_from_each_sealed_segment") {
  SpoolWorld world;
  constexpr int kSegments = 200;
  {
    SpoolRig rig(world);
    for (int i = 0; i < kSegments; ++i) {
      write_segment(rig, {std::string(20'000, 'x')});
      while (auto input = rig.to_rotate.try_pop()) {
        REQUIRE(rig.rotator->process(std::move(*input), rig.blocks).ok());
        REQUIRE(rig.rotator->on_idle(rig.blocks).ok());
        rig.blocks.items.clear();  // nobody uploads
      }
    }
  }
  world.filesystem.restart(1);
  const std::uint64_t before = world.filesystem.count(Op::read, ".wal");
  SpoolRig::Options options;
  options.budget_bytes = 0;
  options.rotator.segments_admitted_max = 0;  // recovery alone
  SpoolRig rig(world, options);
  REQUIRE(rig.egress().ok());
  CHECK(rig.books.pieces_found_at_start.load() == kSegments);
  CHECK(world.filesystem.count(Op::read, ".wal") - before <= kSegments * 4);
}

TEST_CASE("what_a_crash_left_unsealed_is_recovered_counted_and_looked_up_before_its_upload") {
  SpoolWorld world;
  {
    SpoolRig rig(world);
    REQUIRE(rig.give(rig.batch(rig.connect(), {"<a/>", "<b/>"}, ConnectionEnd::finished)).ok());
  }
  world.filesystem.restart(3);
  SpoolRig rig(world);
  REQUIRE(rig.egress().ok());
  CHECK(stored_events(world) == std::vector<std::string>{"<a/>", "<b/>"});
  CHECK(rig.books.pieces_found_at_start.load() == 2);
  CHECK(rig.difference() == 0);
  CHECK(rig.found_at_start.begin()->second);
}

TEST_CASE("p9_a_new_rotator_takes_over_at_any_time_and_leaves_what_spool_writes_alone") {
  SpoolWorld world;
  SpoolRig rig(world);
  write_segment(rig, {"<a/>"});
  write_segment(rig, {"<b/>"});
  REQUIRE(rig.give(rig.batch(rig.connect(), {"<c/>"}, ConnectionEnd::finished)).ok());
  // The first one dies with all that was told to it, half-way.
  while (auto input = rig.to_rotate.try_pop()) {
    REQUIRE(rig.rotator->process(std::move(*input), rig.blocks).ok());
  }
  REQUIRE(rig.rotator->on_idle(rig.blocks).ok());
  rig.blocks.items.clear();
  rig.new_rotator();
  REQUIRE(rig.egress().ok());
  CHECK(stored_events(world) == std::vector<std::string>{"<a/>", "<b/>"});
  CHECK(rig.books.pieces_in_spool.load() == 1);
  CHECK(rig.difference() == 0);
  REQUIRE(rig.give(SealNow{}).ok());
  REQUIRE(rig.egress().ok());
  CHECK(stored_events(world) == std::vector<std::string>{"<a/>", "<b/>", "<c/>"});
  CHECK(rig.difference() == 0);
}

TEST_CASE("a_postponed_segment_goes_to_the_end_of_the_line") {
  SpoolWorld world;
  SpoolRig rig(world);
  write_segment(rig, {"<a/>"});
  write_segment(rig, {"<b/>"});
  rig.postpone_first = true;
  REQUIRE(rig.egress().ok());
  REQUIRE(rig.block_order.size() == 3);
  CHECK(rig.block_order[0] == rig.block_order[2]);
  CHECK(rig.block_order[1].first > rig.block_order[0].first);
  CHECK(rig.difference() == 0);
  CHECK(rig.books.pieces_in_spool.load() == 0);
}

TEST_CASE("a_parked_segment_takes_no_place_in_egress_and_comes_back_when_it_is_postponed") {
  using Kind = SegmentOutcome::Kind;
  SpoolWorld world;
  SpoolRig::Options options;
  options.rotator.segments_admitted_max = 1;
  SpoolRig rig(world, options);
  write_segment(rig, {"<a/>"});
  write_segment(rig, {"<b/>"});
  const auto turn = [&] {
    while (auto input = rig.to_rotate.try_pop()) {
      REQUIRE(rig.rotator->process(std::move(*input), rig.blocks).ok());
    }
    for (int i = 0; i < 10; ++i) {
      REQUIRE(rig.rotator->on_idle(rig.blocks).ok());
    }
  };
  const auto say = [&](std::size_t segment, Kind kind) {
    REQUIRE(
        rig.rotator
            ->process(SegmentOutcome{rig.handed_over[segment].first, Stream::xml, kind}, rig.blocks)
            .ok());
    turn();
  };
  turn();
  REQUIRE(rig.blocks.items.size() == 1);
  say(0, Kind::parked);
  REQUIRE(rig.blocks.items.size() == 2);
  CHECK(rig.blocks.items[1].segment->id == rig.handed_over[1].first);
  REQUIRE(unlink_segment(*rig.stream, rig.handed_over[1].first).ok());
  say(1, Kind::done);
  CHECK(rig.blocks.items.size() == 2);
  say(0, Kind::postponed);
  REQUIRE(rig.blocks.items.size() == 3);
  CHECK(rig.blocks.items[2].segment->id == rig.handed_over[0].first);
  CHECK(rig.blocks.items[2].segment->found_at_start);
  say(0, Kind::parked);
  REQUIRE(rig.rotator->process(DrainEgress{}, rig.blocks).ok());
  turn();
  CHECK(rig.rotator->finished());  // the next start tries it again
}

TEST_CASE("a_segment_that_somebody_removed_holds_no_other_up_and_is_counted_as_lost") {
  SpoolWorld world;
  SpoolRig rig(world);
  write_segment(rig, {"<a/>"});
  write_segment(rig, {"<b/>"});
  REQUIRE(world.filesystem.unlink(segment_path("/spool/xml", rig.handed_over[0].first)).ok());
  REQUIRE(rig.egress().ok());
  CHECK(stored_events(world) == std::vector<std::string>{"<b/>"});
  CHECK(rig.books.pieces_lost_to_damage.load() == 1);
  CHECK(rig.books.pieces_in_spool.load() == 0);
  CHECK(rig.difference() == 0);
}

TEST_CASE("a_trouble_that_is_over_is_said_no_more") {
  SpoolWorld world;
  SpoolRig rig(world);
  write_segment(rig, {"<a/>"});
  world.filesystem.fail(
      {.op = Op::open, .code = EIO, .path_has = to_string(rig.handed_over[0].first) + ".wal"});
  REQUIRE(rig.egress().ok());
  CHECK_FALSE(rig.conditions.current().empty());
  world.clock.advance(std::chrono::seconds(2));
  REQUIRE(rig.egress().ok());
  CHECK(stored_events(world).size() == 1);
  CHECK(rig.conditions.current().empty());
}

TEST_CASE("blocks_wait_for_memory_and_one_over_the_whole_share_goes_alone") {
  SpoolWorld world;
  SpoolRig::Options options;
  options.budget_bytes = 1000;  // less than any block's cost
  SpoolRig rig(world, options);
  write_segment(rig, {std::string(5'000, 'a'), std::string(5'000, 'b')});
  while (auto input = rig.to_rotate.try_pop()) {
    REQUIRE(rig.rotator->process(std::move(*input), rig.blocks).ok());
  }
  for (int turn = 0; turn < 10; ++turn) {
    REQUIRE(rig.rotator->on_idle(rig.blocks).ok());
  }
  CHECK(rig.blocks.items.size() == 1);
  REQUIRE(rig.egress().ok());
  CHECK(stored_events(world).size() == 2);
}

TEST_CASE("a_segment_that_cannot_be_opened_does_not_hold_the_others_up") {
  SpoolWorld world;
  SpoolRig rig(world);
  write_segment(rig, {"<first/>"});
  const SegmentId first = rig.handed_over.front().first;
  write_segment(rig, {"<second/>"});
  write_segment(rig, {"<third/>"});
  while (auto input = rig.to_rotate.try_pop()) {
    REQUIRE(rig.rotator->process(std::move(*input), rig.blocks).ok());
  }
  const std::string name = segment_path("/spool/xml", first).filename().string();
  world.filesystem.fail({.op = Op::open, .times = 1'000'000, .code = EACCES, .path_has = name});
  const auto until = [&](std::size_t stored) {
    for (int second = 0; second < 20 && world.store.size() < stored; ++second) {
      REQUIRE(rig.egress().ok());
      world.clock.advance(std::chrono::seconds(1));
    }
    return stored_events(world);
  };
  CHECK(until(2) == std::vector<std::string>{"<second/>", "<third/>"});
  write_segment(rig, {"<fourth/>"});
  CHECK(until(3) == std::vector<std::string>{"<second/>", "<third/>", "<fourth/>"});
  world.filesystem.clear_faults();
  CHECK(until(4).front() == "<first/>");
}

TEST_CASE("a_segment_that_is_set_aside_after_it_was_counted_leaves_the_books_in_balance") {
  SpoolWorld world;
  {
    SpoolRig rig(world);
    write_segment(rig, {"<a/>", "<b/>"});
    REQUIRE(rig.egress().ok());
  }
  world.store.clear();
  SpoolRig writer(world);
  write_segment(writer, {"<c/>", "<d/>"});
  const SegmentId id = writer.handed_over[0].first;
  // Its list of rejects cannot be read, now that it comes to be admitted.
  REQUIRE(replace_file(world.filesystem, rejects_path("/spool/xml", id), "rubbish").ok());
  REQUIRE(writer.egress().ok());
  CHECK(world.store.empty());
  CHECK(writer.books.pieces_set_aside.load() == 2);
  CHECK(writer.books.pieces_in_spool.load() == 0);
  CHECK(writer.difference() == 0);
}

TEST_CASE("d8_odd_files_are_ignored_or_set_aside_and_a_zero_page_is_no_segment") {
  SpoolWorld world;
  {
    SpoolRig rig(world);  // makes the folders
  }
  const auto path = [](std::uint64_t num) { return segment_path("/spool/xml", SegmentId{num, 5}); };
  world.filesystem.make_odd(path(1), FileType::other);
  world.filesystem.make_odd(path(2), FileType::symlink);
  world.filesystem.make_odd(path(3), FileType::directory);
  REQUIRE(replace_file(world.filesystem, path(4), std::string(20'000, '\0')).ok());
  REQUIRE(replace_file(world.filesystem, path(5), std::string(20'000, 'r')).ok());
  REQUIRE(replace_file(world.filesystem, path(6), "").ok());
  SpoolRig rig(world);
  REQUIRE(rig.failure.empty());
  write_segment(rig, {"<a/>"});
  REQUIRE(rig.egress().ok());
  CHECK(stored_events(world) == std::vector<std::string>{"<a/>"});
  CHECK(world.filesystem.info(path(1)).ok());
  CHECK_FALSE(world.filesystem.info(path(4)).ok());
  CHECK_FALSE(world.filesystem.info(path(5)).ok());
  CHECK_FALSE(world.filesystem.info(path(6)).ok());
  CHECK(names_in(world, "/spool/quarantine").size() == 2);  // the random file and its reason
  const auto conditions = rig.conditions.current();
  REQUIRE(conditions.size() == 1);
  CHECK(conditions[0].message.ends_with("run: sluice replay " + to_string(SegmentId{5, 5})));
}

TEST_CASE("a_side_seal_that_does_not_verify_never_counts_as_absent") {
  SpoolWorld world;
  SegmentId id;
  {
    SpoolRig rig(world);
    REQUIRE(rig.give(rig.batch(rig.connect(), {"<a/>"}, ConnectionEnd::finished)).ok());
    id.num = rig.stream->writing_num.load();
  }
  for (const auto& name : names_in(world, "/spool/xml")) {
    const Path seal = Path("/spool/xml") / Path(name).replace_extension(".seal");
    REQUIRE(replace_file(world.filesystem, seal, "rubbish").ok());
  }
  world.filesystem.restart(1);
  SpoolRig rig(world);
  REQUIRE(rig.egress().ok());
  CHECK(world.store.empty());
  CHECK(names_in(world, "/spool/quarantine").size() == 3);
}

TEST_CASE("a_torn_tail_is_kept_once_and_damage_raises_an_alarm") {
  SpoolWorld world;
  {
    SpoolRig rig(world);
    for (const char* event : {"<a/>", "<b/>", "<c/>"}) {
      REQUIRE(rig.give(rig.batch(rig.connect(), {event}, ConnectionEnd::finished)).ok());
    }
    REQUIRE(rig.finished.items.empty());
    REQUIRE(rig.prepared.size() == 0);
    const auto names = names_in(world, "/spool/xml");
    REQUIRE(names.size() == 1);
    auto opened = world.filesystem.open(Path("/spool/xml") / names[0], OpenMode::read_write);
    REQUIRE(opened);
    auto& file = *opened;
    const std::uint64_t bytes = file->info()->bytes;
    REQUIRE(write_all(*file, as_bytes("half a record"), bytes).ok());
    REQUIRE(file->fdatasync().ok());
    world.filesystem.flip_bit(Path("/spool/xml") / names[0], (kRecordsBegin + 100) * 8);
  }
  world.filesystem.restart(1);
  SpoolRig rig(world);
  REQUIRE(rig.egress().ok());
  CHECK(stored_events(world) == std::vector<std::string>{"<b/>", "<c/>"});
  CHECK(rig.books.bytes_torn.load() == 13);
  CHECK(rig.books.bytes_damaged.load() > 0);
  CHECK(rig.difference() == 0);
  CHECK(names_in(world, "/spool/quarantine").size() == 4);
  REQUIRE(rig.conditions.current().size() == 1);
  CHECK(rig.conditions.current()[0].name == "spool.damage");
}

TEST_CASE("d13_reading_stops_at_the_high_watermark_and_goes_on_at_the_low_one") {
  SpoolWorld world;
  SpoolRig::Options options;
  options.rotator.disk.bytes_max = 4 * kMiB;
  options.rotator.segment_allocate_bytes = 0;
  options.rotator.segments_admitted_max = 0;
  std::optional<SpoolRig> rig(std::in_place, world, options);
  REQUIRE(rig->egress().ok());
  CHECK_FALSE(rig->pause_reading.load());
  for (int i = 0; i < 6; ++i) {
    write_segment(*rig, {std::string(700'000, 'x')});
  }
  REQUIRE(rig->egress().ok());
  CHECK(rig->pause_reading.load());
  CHECK_FALSE(rig->conditions.ready());
  options.rotator.segments_admitted_max = 10;
  rig.reset();
  rig.emplace(world, options);
  REQUIRE(rig->egress().ok());
  world.clock.advance(std::chrono::seconds(1));
  REQUIRE(rig->egress().ok());
  CHECK_FALSE(rig->pause_reading.load());
  CHECK(rig->conditions.ready());
  CHECK(stored_events(world).size() == 6);
}

TEST_CASE("what_is_prepared_never_fills_a_small_budget") {
  SpoolWorld world;
  SpoolRig::Options options;
  options.rotator.disk.bytes_max = 16 * kMiB;
  options.rotator.disk.bytes_in_flight = 16 * kMiB;
  options.rotator.segment_allocate_bytes = 100 * kMiB;
  SpoolRig rig(world, options);
  REQUIRE(rig.egress().ok());
  world.clock.advance(std::chrono::seconds(1));
  REQUIRE(rig.egress().ok());
  CHECK(rig.prepared.size() == 2);
  CHECK_FALSE(rig.pause_reading.load());
}
