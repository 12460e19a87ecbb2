// Upload: what each kind of answer of the store leads to.
#include "upload_fixture.h"

namespace sluice {
namespace {

using namespace upload_test;

TEST_CASE("s11_errors_then_success_nothing_lost_nothing_twice") {
  Fixture fixture;
  fixture.store.faults = {{.op = "put", .times = 7, .error = kUnavailable}};
  std::vector<std::shared_ptr<SealedSegment>> segments;
  for (int i = 0; i < 5; ++i) {
    segments.push_back(fixture.make_segment(2));
    fixture.give(segments.back(), {{{"event " + std::to_string(i)}, {"<bad"}}});
  }
  REQUIRE(fixture.run_to_outcomes(5));
  CHECK(fixture.store.objects.size() == 15);
  CHECK(fixture.store.writes.size() == 15);
  CHECK(fixture.store.overwrites == 0);
  CHECK(fixture.books.events_uploaded == 5);
  CHECK(fixture.books.pieces_quarantined == 5);
  CHECK(fixture.books.objects_uploaded == 15);
  CHECK(fixture.books.upload_attempts == 22);
  CHECK(fixture.books.upload_retries == 7);
  CHECK_FALSE(fixture.raised("store.unavailable"));
  CHECK(fixture.budget.bytes_used() == 0);
}

TEST_CASE("s11_o10_a_store_that_is_down_is_named_and_the_alarm_goes_when_it_is_back") {
  Fixture fixture;
  fixture.store.faults = {{.times = -1, .error = kUnavailable}};
  const auto segment = fixture.make_segment(1);
  fixture.give(segment, {{{"one"}, {}}});
  REQUIRE(fixture.run_until([&] { return fixture.raised("store.unavailable"); }));
  CHECK(fixture.conditions.ready());  // the feed goes on
  CHECK_FALSE(
      fixture.run_until([&] { return !fixture.out.items.empty(); }, std::chrono::hours(24)));
  CHECK(fixture.on_disk(*segment));
  // Full jitter up to a minute: about two a minute, never a flood.
  CHECK(fixture.store.operations.size() > 1000);
  CHECK(fixture.store.operations.size() < 8000);
  fixture.store.faults.clear();
  REQUIRE(fixture.run_to_outcomes(1));
  CHECK_FALSE(fixture.raised("store.unavailable"));
}

TEST_CASE("s11_that_a_store_can_be_read_does_not_make_it_one_that_takes_objects") {
  Fixture fixture;
  fixture.store.leave_out_conditions();  // a HEAD before each PUT that is repeated
  fixture.store.faults = {{.op = "put", .key_has = "", .times = -1, .error = kUnavailable}};
  fixture.give(fixture.make_segment(1), {{{"one"}, {}}});
  REQUIRE(fixture.run_until([&] { return fixture.raised("store.unavailable"); }));
  CHECK(fixture.store.count("head ") > 0);
}

TEST_CASE("s17_after_a_day_without_a_store_all_is_delivered_within_two_minutes") {
  Fixture fixture;
  fixture.store.faults = {{.op = "", .key_has = "", .times = -1, .error = kUnavailable}};
  constexpr std::size_t kSegments = 20;
  for (std::size_t i = 0; i < kSegments; ++i) {
    fixture.give(fixture.make_segment(1), {{{"one"}, {}}});
  }
  const MonotonicTime begin = fixture.clock.now();
  const std::uint64_t used = fixture.budget.bytes_used();
  CHECK_FALSE(fixture.run_until([] { return false; }, std::chrono::hours(24)));
  CHECK(fixture.clock.now() - begin >= std::chrono::hours(24));
  CHECK(fixture.out.items.empty());
  CHECK(fixture.budget.bytes_used() == used);
  // Full jitter up to a minute: about two tries a minute and segment.
  CHECK(fixture.books.upload_attempts > kSegments * 24 * 60);
  CHECK(fixture.books.upload_attempts < kSegments * 24 * 60 * 4);
  CHECK(fixture.raised("store.unavailable"));

  fixture.store.faults.clear();
  const MonotonicTime back = fixture.clock.now();
  REQUIRE(fixture.run_to_outcomes(kSegments));
  CHECK(fixture.clock.now() - back < std::chrono::minutes(2));
  CHECK(fixture.store.objects.size() == kSegments);
  CHECK(fixture.store.overwrites == 0);
  CHECK_FALSE(fixture.raised("store.unavailable"));
}

TEST_CASE("s11_a_lost_reply_is_no_second_object") {
  Fixture fixture;
  fixture.store.faults = {{.op = "put", .error = kUnavailable, .carried_out = true}};
  const auto segment = fixture.make_segment(1);
  fixture.give(segment, {{{"one"}, {}}});
  REQUIRE(fixture.run_to_outcomes(1));
  CHECK(fixture.out.items[0].kind == Kind::done);
  CHECK(fixture.store.writes.size() == 1);
  CHECK(fixture.store.operations.size() == 3);  // put, put (412), head
  CHECK(fixture.books.objects_uploaded == 1);
  CHECK(fixture.books.objects_found_done == 0);
}

TEST_CASE("s9_another_object_under_the_key_is_never_overwritten") {
  Fixture fixture;
  const auto segment = fixture.make_segment(1);
  const ObjectKeys keys = object_keys(
      segment->settings, {.id = segment->id,
                          .stream = segment->stream,
                          .first_received_at = segment->seal.summary.first_received_at});
  fixture.store.objects[keys.data] = {
      .bytes = "other", .content_type = "", .metadata = {{"digest", "other"}}, .etag = "x"};
  fixture.give(segment, {{{"one"}, {}}});
  REQUIRE(fixture.run_to_outcomes(1));
  CHECK(fixture.out.items[0].kind == Kind::set_aside);
  CHECK(fixture.store.objects[keys.data].bytes == "other");
  CHECK(fixture.store.overwrites == 0);
  CHECK_FALSE(fixture.on_disk(*segment));
  CHECK(fixture.filesystem.info(Path("/spool/quarantine") / segment->path.filename()).ok());
  CHECK(fixture.raised("upload.set_aside:"));
  CHECK(fixture.books.pieces_set_aside == 1);
  CHECK(fixture.books.events_uploaded == 0);
  CHECK(fixture.budget.bytes_used() == 0);
}

TEST_CASE("s9_a_conflict_is_tried_again") {
  Fixture fixture;
  fixture.store.faults = {
      {.op = "put", .times = 2, .error = {.kind = StoreErrorKind::conflict, .http_status = 409}}};
  fixture.give(fixture.make_segment(1), {{{"one"}, {}}});
  REQUIRE(fixture.run_to_outcomes(1));
  CHECK(fixture.out.items[0].kind == Kind::done);
}

TEST_CASE("an_object_that_is_refused_is_set_aside_after_its_tries_and_others_go_on") {
  Fixture fixture({.refusals_max = 5});
  const auto bad = fixture.make_segment(1);
  fixture.store.faults = {
      {.op = "put",
       .key_has = to_string(bad->id),
       .times = -1,
       .error = {
           .kind = StoreErrorKind::this_object, .http_status = 400, .code = "KeyTooLongError"}}};
  fixture.give(bad, {{{"bad"}, {}}});
  const auto good = fixture.make_segment(1);
  fixture.give(good, {{{"good"}, {}}});
  REQUIRE(fixture.run_to_outcomes(2));
  CHECK(fixture.out.items[0].kind == Kind::done);
  CHECK(fixture.out.items[0].id == good->id);
  CHECK(fixture.out.items[1].kind == Kind::set_aside);
  CHECK(fixture.store.count("put ") == 6);
}

TEST_CASE("s20_an_upload_that_always_fails_beside_others_gives_its_memory_and_slot_back") {
  Fixture fixture({.concurrency = 1});
  const auto bad = fixture.make_segment(1);
  fixture.store.faults = {
      {.op = "put", .key_has = to_string(bad->id), .times = -1, .error = kUnavailable}};
  fixture.give(bad, {{{"bad"}, {}}});
  std::size_t given = 0;
  REQUIRE(fixture.run_until([&] {
    if (fixture.out.items.size() == given && given < 40) {
      fixture.give(fixture.make_segment(1), {{{"good"}, {}}});
      given += 1;
    }
    return std::any_of(fixture.out.items.begin(), fixture.out.items.end(),
                       [](const auto& outcome) { return outcome.kind == Kind::postponed; });
  }));
  CHECK(fixture.store.count("put xml-events/") >= 10);
  CHECK(fixture.on_disk(*bad));
  CHECK(fixture.books.events_uploaded > 0);
  // Admitted again, after the others, when the fault has gone.
  fixture.store.faults.clear();
  const std::size_t before = fixture.out.items.size();
  fixture.give(bad, {{{"bad"}, {}}});
  REQUIRE(fixture.run_until([&] {
    return std::any_of(
        fixture.out.items.begin() + static_cast<std::ptrdiff_t>(before), fixture.out.items.end(),
        [&](const auto& outcome) { return outcome.id == bad->id && outcome.kind == Kind::done; });
  }));
  CHECK_FALSE(fixture.on_disk(*bad));
}

TEST_CASE("a_refused_quarantine_prefix_never_holds_the_data_back") {
  Fixture fixture;
  fixture.store.faults = {{.key_has = "quarantine/", .times = -1, .error = kDenied}};
  std::vector<std::shared_ptr<SealedSegment>> segments;
  for (int i = 0; i < 6; ++i) {
    segments.push_back(fixture.make_segment(2));
    fixture.give(segments.back(), {{{"event " + std::to_string(i)}, {"<bad"}}});
  }
  const auto clean = fixture.make_segment(1);
  fixture.give(clean, {{{"clean"}, {}}});
  REQUIRE(fixture.run_until([&] { return fixture.store.objects.size() == 7; }, seconds(30)));
  // Those that wait for the prefix leave their places in egress to others.
  REQUIRE(fixture.run_to_outcomes(7));
  std::size_t parked = 0;
  for (const SegmentOutcome& outcome : fixture.out.items) {
    CHECK(outcome.kind == (outcome.id == clean->id ? Kind::done : Kind::parked));
    parked += outcome.kind == Kind::parked ? 1 : 0;
  }
  CHECK(parked == 6);
  fixture.out.items.resize(1);
  CHECK(fixture.raised("store.refused:quarantine/"));
  CHECK(fixture.conditions.ready());        // an alarm only
  CHECK(fixture.budget.bytes_used() == 0);  // and no memory is held
  CHECK(fixture.store.count("put quarantine/") <= 16);
  for (const auto& segment : segments) {
    CHECK(fixture.on_disk(*segment));
  }
  // One of them is admitted again an interval, as the probe.
  REQUIRE(fixture.run_to_outcomes(2));
  CHECK(fixture.out.items[1].kind == Kind::postponed);
  CHECK(fixture.out.items[1].id == segments[0]->id);
  CHECK_FALSE(fixture.run_until([&] { return fixture.out.items.size() > 2; }, seconds(50)));
  fixture.give(segments[0], {{{"event 0"}, {"<bad"}}});
  const std::size_t puts_of_data = fixture.store.count("put xml-events/");
  CHECK(fixture.out.items[1].id == segments[0]->id);
  // The operator mends it: the next probe ends the hold, and all the others follow.
  fixture.store.faults.clear();
  std::size_t done = 1;  // the clean one
  REQUIRE(fixture.run_until(
      [&] {
        for (std::size_t i = done + 1; i < fixture.out.items.size(); ++i) {
          const SegmentOutcome outcome = fixture.out.items[i];
          if (outcome.kind == Kind::postponed) {
            const auto found =
                std::find_if(segments.begin(), segments.end(),
                             [&](const auto& segment) { return segment->id == outcome.id; });
            fixture.give(*found,
                         {{{"event " + std::to_string(found - segments.begin())}, {"<bad"}}});
          }
          done += 1;
        }
        return fixture.books.segments_done == 7;
      },
      seconds(600)));
  CHECK_FALSE(fixture.raised("store.refused:quarantine/"));
  CHECK(fixture.store.objects.size() == 7 + 12);
  CHECK(fixture.store.writes.size() == 7 + 12);
  CHECK(fixture.store.count("put xml-events/") == puts_of_data);  // never sent again
  CHECK(fixture.books.events_uploaded == 7);
  CHECK(fixture.books.pieces_quarantined == 6);
  CHECK(fixture.books.objects_uploaded == 19);
  for (const auto& segment : segments) {
    CHECK_FALSE(fixture.on_disk(*segment));
  }
}

TEST_CASE("rejected_bytes_leave_in_parts_before_their_segment_is_whole") {
  Fixture fixture({.part_bytes = 1000});
  const auto segment = fixture.make_segment(4);
  auto blocks = fixture.blocks_of(segment, {{{}, {std::string(3000, 'a')}},
                                            {{}, {std::string(3000, 'b')}},
                                            {{"last"}, {std::string(500, 'c')}}});
  ConvertedBlock last = std::move(blocks.back());
  blocks.pop_back();
  const std::size_t held = last.room.bytes();
  fixture.give(std::move(blocks));
  // Nobody else would make room for the last one. Their lines are no part yet.
  REQUIRE(
      fixture.run_until([&] { return fixture.budget.bytes_used() < held + 1000; }, seconds(30)));
  CHECK(fixture.store.objects.empty());
  REQUIRE(fixture.uploader->process(std::move(last), fixture.out));
  REQUIRE(fixture.run_to_outcomes(1));
  CHECK(fixture.out.items[0].kind == Kind::done);
  const auto* raw = fixture.object("_raw.xml");
  REQUIRE(raw != nullptr);
  CHECK(raw->bytes == std::string(3000, 'a') + std::string(3000, 'b') + std::string(500, 'c'));
  CHECK(fixture.object(".jsonl") != nullptr);
}

TEST_CASE("p9_what_an_uploader_said_of_the_store_goes_with_it") {
  Fixture fixture;
  fixture.store.faults = {{.key_has = "xml-events/", .times = -1, .error = kDenied}};
  fixture.give(fixture.make_segment(1), {{{"one"}, {}}});
  REQUIRE(fixture.run_until([&] { return fixture.raised("store.refused:"); }));
  CHECK_FALSE(fixture.conditions.ready());
  fixture.uploader.reset();
  CHECK(fixture.conditions.ready());  // the next one says it again if it is still true
}

TEST_CASE("o3_a_refused_data_prefix_is_said_and_probed_once_an_interval") {
  Fixture fixture;
  fixture.store.faults = {{.times = -1, .error = kDenied}};
  for (int i = 0; i < 5; ++i) {
    fixture.give(fixture.make_segment(1), {{{"event"}, {}}});
  }
  REQUIRE(fixture.run_until([&] { return fixture.raised("store.refused:xml-events/"); }));
  CHECK_FALSE(fixture.conditions.ready());
  const auto current = fixture.conditions.current();
  CHECK(current[0].message.find("Allow it.") != std::string::npos);
  const std::size_t before = fixture.store.operations.size();
  CHECK_FALSE(fixture.run_until([&] { return !fixture.out.items.empty(); }, std::chrono::hours(1)));
  const std::size_t probes = fixture.store.operations.size() - before;
  CHECK(probes >= 58);
  CHECK(probes <= 60);
  fixture.store.faults.clear();
  REQUIRE(fixture.run_to_outcomes(5));
  CHECK(fixture.conditions.ready());
  CHECK(fixture.store.objects.size() == 5);
}

TEST_CASE("s5_s7_fresh_credentials_are_tried_once_then_it_is_a_matter_of_configuration") {
  const StoreError expired{
      .kind = StoreErrorKind::refresh_credentials, .http_status = 400, .code = "ExpiredToken"};
  Fixture fixture;
  fixture.store.refreshable = 1;
  fixture.store.faults = {{.op = "put", .times = 1, .error = expired}};
  fixture.give(fixture.make_segment(1), {{{"event"}, {}}});
  REQUIRE(fixture.run_until([&] { return fixture.out.items.size() == 1; }, seconds(2)));
  CHECK_FALSE(fixture.raised("store.refused:"));
  fixture.store.faults = {{.op = "put", .times = 1, .error = expired}};
  fixture.give(fixture.make_segment(1), {{{"event"}, {}}});
  REQUIRE(fixture.run_until([&] { return fixture.raised("store.refused:xml-events/"); }));
  REQUIRE(fixture.run_to_outcomes(2));
}

TEST_CASE("s6_a_skewed_clock_costs_one_more_attempt_and_no_wait") {
  Fixture fixture;
  fixture.store.faults = {
      {.op = "put", .times = 1, .error = {.kind = StoreErrorKind::clock_skew, .http_status = 403}}};
  fixture.give(fixture.make_segment(1), {{{"event"}, {}}});
  REQUIRE(fixture.run_until([&] { return fixture.out.items.size() == 1; }, seconds(2)));
  CHECK(fixture.store.operations.size() == 2);
}

TEST_CASE("s10_slow_down_halves_the_transfers_at_once") {
  Fixture fixture({.concurrency = 8});
  StoreError slow = kUnavailable;
  slow.slow_down = true;
  fixture.store.answers = false;
  for (int i = 0; i < 20; ++i) {
    fixture.give(fixture.make_segment(1), {{{"event"}, {}}});
  }
  CHECK(fixture.store.in_flight() == 8);
  fixture.store.faults = {{.times = 8, .error = slow}};
  fixture.store.answers = true;
  fixture.store.poll(fixture.clock.now());
  fixture.store.answers = false;
  REQUIRE(fixture.uploader->on_idle(fixture.out));
  CHECK(fixture.store.in_flight() == 4);  // eight answers of one moment halve it once
  fixture.store.answers = true;
  REQUIRE(fixture.run_to_outcomes(20));
  CHECK(fixture.store.most_in_flight <= 8);
}

TEST_CASE("a_store_without_metadata_compares_bytes_instead") {
  Fixture fixture;
  fixture.store.abilities = {.conditional_put = true,
                             .conditions_proven = true,
                             .metadata = false,
                             .signs_payload = false};
  const auto segment = fixture.make_segment(1);
  fixture.give(segment, {{{"one"}, {}}});
  fixture.store.poll(fixture.clock.now());
  fixture.restart();
  segment->found_at_start = true;
  fixture.give(segment, {{{"one"}, {}}});
  REQUIRE(fixture.run_to_outcomes(1));
  CHECK(fixture.out.items[0].kind == Kind::done);
  CHECK(fixture.books.objects_found_done == 1);
  const auto lines = fixture.lines();
  REQUIRE(lines.size() == 1);
  CHECK_FALSE(lines[0].metadata.empty());  // the ledger has it

  const auto other = fixture.make_segment(1);
  fixture.give(other, {{{"one"}, {}}});
  fixture.store.poll(fixture.clock.now());
  fixture.restart();
  other->found_at_start = true;
  fixture.give(other, {{{"two"}, {}}});
  REQUIRE(fixture.run_to_outcomes(2));
  CHECK(fixture.out.items[1].kind == Kind::set_aside);
}

}  // namespace
}  // namespace sluice
