// Upload: segments that an earlier process left.
#include "upload_fixture.h"

namespace sluice {
namespace {

using namespace upload_test;

ObjectKeys keys_of(const SealedSegment& segment) {
  return object_keys(segment.settings,
                     {.id = segment.id,
                      .stream = segment.stream,
                      .first_received_at = segment.seal.summary.first_received_at});
}

TEST_CASE("s21_objects_found_at_start_are_done_whatever_their_bytes") {
  Fixture fixture;
  const auto segment = fixture.make_segment(2);
  fixture.store.faults = {{.op = "put", .key_has = "reasons", .times = -1, .error = kUnavailable}};
  fixture.give(segment, {{{"one"}, {"<bad"}}});
  REQUIRE(fixture.run_until([&] { return fixture.store.objects.size() == 2; }));
  // The process dies; the next one has a newer compressor: other bytes, the same segment.
  fixture.restart();
  fixture.store.faults.clear();
  fixture.store.operations.clear();
  auto again = std::make_shared<SealedSegment>();
  again->id = segment->id;
  again->path = segment->path;
  again->settings = segment->settings;
  again->seal = segment->seal;
  again->found_at_start = true;
  again->known_rejects =
      *read_rejects(fixture.filesystem, fixture.stream->path(), segment->id).value();
  fixture.give(again, {{{"other bytes"}, {"<bad"}}});
  REQUIRE(fixture.run_to_outcomes(1));
  CHECK(fixture.out.items[0].kind == Kind::done);
  CHECK(fixture.store.count("head ") == 3);
  CHECK(fixture.store.count("put ") == 1);  // the one that was missing
  CHECK(fixture.object(".jsonl") != nullptr);
  CHECK(fixture.store.overwrites == 0);
  CHECK(fixture.books.objects_found_done == 2);
  CHECK(fixture.books.events_uploaded == 1);
  CHECK(fixture.books.pieces_quarantined == 1);
}

TEST_CASE("d18_a_data_object_with_no_rejects_completes_its_segment") {
  Fixture fixture;
  const auto segment = fixture.make_segment(2);
  fixture.give(segment, {{{"one", "two"}, {}}});
  fixture.store.poll(fixture.clock.now());  // stored; the process dies before it is told
  fixture.restart();
  segment->found_at_start = true;
  // A stricter validator now rejects one of the two.
  fixture.give(segment, {{{"one"}, {"two"}}});
  REQUIRE(fixture.run_to_outcomes(1));
  CHECK(fixture.out.items[0].kind == Kind::done);
  CHECK(fixture.store.objects.size() == 1);
  CHECK(fixture.books.events_uploaded == 2);
  CHECK(fixture.books.pieces_quarantined == 0);
}

TEST_CASE(
    "d18_rejected_pieces_wait_for_the_data_object_where_a_laxer_version_may_have_sent_its_own") {
  Fixture fixture;
  const auto segment = fixture.make_segment(2);
  segment->found_at_start = true;
  fixture.store.faults = {{.op = "put", .key_has = ".jsonl", .times = 2, .error = kUnavailable}};
  fixture.give(segment, {{{"one"}, {"<bad"}}});
  REQUIRE(fixture.run_to_outcomes(1));
  CHECK(fixture.out.items[0].kind == Kind::done);
  std::vector<std::string> puts;
  for (const std::string& operation : fixture.store.operations) {
    if (operation.starts_with("put ")) {
      puts.push_back(operation);
    }
  }
  REQUIRE(puts.size() == 5);
  for (int attempt = 0; attempt < 3; ++attempt) {
    CHECK(puts[attempt].find("_raw") == std::string::npos);
  }
}

TEST_CASE("d18_a_laxer_versions_data_object_that_arrives_late_completes_the_segment") {
  Fixture fixture;
  const auto segment = fixture.make_segment(2);
  segment->found_at_start = true;
  fixture.give(segment, {{{"one"}, {"two"}}});
  REQUIRE(fixture.run_until([&] { return fixture.store.count("head ") == 3; }));
  // Of the version before us, which found nothing to reject; on its way since before it died.
  fixture.store.objects[keys_of(*segment).data] = {
      .bytes = "one two",
      .content_type = "",
      .metadata = {{"digest", to_hex(segment->seal.summary.digest)}, {"rejected", "0"}},
      .etag = "x"};
  REQUIRE(fixture.run_to_outcomes(1));
  CHECK(fixture.out.items[0].kind == Kind::done);
  CHECK(fixture.store.objects.size() == 1);
  CHECK(fixture.books.events_uploaded == 2);
  CHECK(fixture.books.pieces_quarantined == 0);
  REQUIRE(fixture.lines().size() == 1);
  CHECK(fixture.lines()[0].events == 2);  // in the object that is there
}

TEST_CASE("d18_where_all_events_are_rejected_another_versions_request_has_to_be_dead_first") {
  const auto time_to_end = [](std::uint64_t events, std::uint64_t malformed, bool other) {
    Fixture fixture;
    const auto segment = fixture.make_segment(1);
    segment->found_at_start = true;
    segment->seal.summary.events = events;
    segment->seal.summary.malformed = malformed;
    segment->settings.converter_version = kConverterVersion + (other ? 1 : 0);
    const MonotonicTime begin = fixture.clock.now();
    fixture.give(segment, {{{}, {"<bad"}}});
    REQUIRE(fixture.run_to_outcomes(1));
    CHECK(fixture.out.items[0].kind == Kind::done);
    return fixture.clock.now() - begin;
  };
  CHECK(time_to_end(1, 0, true) >= std::chrono::minutes(15));
  CHECK(time_to_end(1, 0, false) < seconds(10));
  CHECK(time_to_end(0, 1, true) < seconds(10));  // no version takes a malformed run for an event
}

TEST_CASE(
    "a_quarantine_prefix_that_may_not_be_looked_at_holds_no_data_back_without_conditions_either") {
  Fixture fixture;
  fixture.store.leave_out_conditions();
  fixture.store.faults = {{.op = "head", .key_has = "_raw", .times = -1, .error = kDenied}};
  for (std::size_t i = 1; i <= 3; ++i) {
    const auto segment = fixture.make_segment(1);
    segment->found_at_start = true;
    fixture.give(segment, {{{"one"}, {}}});
    REQUIRE(fixture.run_to_outcomes(i));
    CHECK(fixture.out.items.back().kind == Kind::done);
    fixture.clock.advance(seconds(61));  // past the time of its probe, which nobody makes
  }
  CHECK(fixture.store.objects.size() == 3);
}

TEST_CASE("d7_a_reject_that_verifies_no_more_is_no_other_decision") {
  Fixture fixture;
  const auto segment = fixture.make_segment(3);
  fixture.store.faults = {{.op = "put", .key_has = "_raw", .times = -1, .error = kDenied}};
  fixture.give(segment, {{{"one"}, {"<bad", "<worse"}}});
  REQUIRE(fixture.run_until([&] { return fixture.store.objects.size() == 1; }));
  fixture.restart();
  fixture.out.items.clear();
  fixture.store.faults.clear();
  segment->found_at_start = true;
  segment->known_rejects =
      *read_rejects(fixture.filesystem, fixture.stream->path(), segment->id).value();
  auto blocks = fixture.blocks_of(segment, {{{"one"}, {"<bad"}}});
  blocks[0].damaged_bytes = 100;  // the second one
  fixture.give(std::move(blocks));
  REQUIRE(fixture.run_to_outcomes(1));
  CHECK(fixture.out.items.back().kind == Kind::done);
  CHECK(fixture.object("_raw.xml")->bytes == "<bad");
}

TEST_CASE("d18_objects_of_one_segment_are_never_made_by_two_decisions") {
  // What is there, and what the segment would still need.
  for (const bool has_data : {true, false}) {
    Fixture fixture;
    const auto segment = fixture.make_segment(3);
    segment->found_at_start = true;
    const ObjectKeys keys = keys_of(*segment);
    const std::string& key = has_data ? keys.data : keys.raw;
    fixture.store.objects[key] = {
        .bytes = "stored",
        .content_type = "",
        .metadata = {{"digest", to_hex(segment->seal.summary.digest)}, {"rejected", "another"}},
        .etag = "x"};
    fixture.give(segment, {{{"one", "two"}, {"<bad"}}});
    REQUIRE(fixture.run_to_outcomes(1));
    CHECK(fixture.out.items[0].kind == Kind::set_aside);
    CHECK(fixture.store.count("put ") == 0);
    CHECK(fixture.raised("upload.set_aside"));
  }
}

TEST_CASE("d12_what_the_store_holds_up_to_the_same_sequence_is_done") {
  Fixture fixture;
  const auto segment = fixture.make_segment(3);
  fixture.give(segment, {{{"one", "two", "three"}, {}}});
  fixture.store.poll(fixture.clock.now());
  fixture.restart();
  // The backup was made before the last event: another digest, an earlier end.
  segment->found_at_start = true;
  segment->seal.summary.events = 2;
  segment->seal.summary.digest.fill(0xEE);
  fixture.give(segment, {{{"one", "two"}, {}}});
  REQUIRE(fixture.run_to_outcomes(1));
  CHECK(fixture.out.items[0].kind == Kind::done);
  CHECK(fixture.store.overwrites == 0);
}

TEST_CASE("nothing_is_put_for_a_found_segment_when_one_of_its_keys_holds_another_object") {
  Fixture fixture;
  const auto segment = fixture.make_segment(2);
  segment->found_at_start = true;
  fixture.store.objects[keys_of(*segment).reasons] = {
      .bytes = "other", .content_type = "", .metadata = {}, .etag = "x"};
  fixture.give(segment, {{{"one"}, {"<bad"}}});
  REQUIRE(fixture.run_to_outcomes(1));
  CHECK(fixture.out.items[0].kind == Kind::set_aside);
  CHECK(fixture.store.count("put ") == 0);
}

TEST_CASE("a_store_that_may_not_be_read_is_written_with_its_condition") {
  Fixture fixture;
  fixture.store.faults = {{.op = "head", .times = -1, .error = kDenied}};
  const auto segment = fixture.make_segment(1);
  segment->found_at_start = true;
  fixture.give(segment, {{{"one"}, {}}});
  REQUIRE(fixture.run_to_outcomes(1));
  CHECK(fixture.out.items[0].kind == Kind::done);
  CHECK(fixture.store.objects.size() == 1);
}

TEST_CASE(
    "a_segment_of_another_converter_waits_for_a_signatures_life_where_nothing_else_protects_it") {
  const auto time_to_put = [](bool other_converter, bool conditions, bool found) {
    Fixture fixture;
    if (!conditions) {
      fixture.store.leave_out_conditions();
    }
    const auto segment = fixture.make_segment(1);
    segment->found_at_start = found;
    segment->settings.converter_version = kConverterVersion + (other_converter ? 1 : 0);
    const MonotonicTime begin = fixture.clock.now();
    fixture.give(segment, {{{"one"}, {}}});
    REQUIRE(fixture.run_to_outcomes(1));
    CHECK(fixture.out.items[0].kind == Kind::done);
    CHECK(fixture.store.objects.size() == 1);
    return fixture.clock.now() - begin;
  };
  CHECK(time_to_put(true, false, true) >= std::chrono::minutes(15));
  CHECK(time_to_put(true, false, true) < std::chrono::minutes(16));
  CHECK(time_to_put(true, true, true) < std::chrono::minutes(1));
  CHECK(time_to_put(false, false, true) < std::chrono::minutes(1));
  CHECK(time_to_put(true, false, false) < std::chrono::minutes(1));
}

TEST_CASE("lookups_that_are_on_their_way_when_a_segment_is_whole_cost_no_place") {
  Fixture fixture;
  std::size_t segments = 0;
  for (std::size_t i = 0; i < 3 * fixture.options.concurrency; ++i) {
    const bool has_events = i % 2 == 0;
    auto segment = fixture.make_segment(has_events ? 2 : 0);
    segment->found_at_start = true;
    auto blocks =
        fixture.blocks_of(segment, has_events ? std::vector<BlockText>{{{"one"}, {}}, {{"two"}, {}}}
                                              : std::vector<BlockText>{{}, {}});
    fixture.store.answers = false;
    REQUIRE(fixture.uploader->process(std::move(blocks[0]), fixture.out));
    REQUIRE(fixture.uploader->on_idle(fixture.out));  // its keys are being looked up
    REQUIRE(fixture.uploader->process(std::move(blocks[1]), fixture.out));
    fixture.store.answers = true;
    segments += 1;
    REQUIRE(fixture.run_to_outcomes(segments));
  }
  CHECK(std::all_of(fixture.out.items.begin(), fixture.out.items.end(),
                    [](const SegmentOutcome& outcome) { return outcome.kind == Kind::done; }));
}

TEST_CASE("s21_the_ledger_has_what_is_stored_and_not_what_we_would_have_stored") {
  Fixture fixture;
  const auto segment = fixture.make_segment(2);
  fixture.give(segment, {{{"one", "two"}, {}}});
  fixture.store.poll(fixture.clock.now());  // stored; the process dies before it is told
  const MemoryObjectStore::Object stored = *fixture.object(".jsonl");
  fixture.restart();
  segment->found_at_start = true;
  fixture.give(segment, {{{"some other bytes"}, {}}, {{"and more of them"}, {}}});
  REQUIRE(fixture.run_to_outcomes(1));
  const auto lines = fixture.lines();
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].bytes == stored.bytes.size());
  CHECK(lines[0].sha256 == stored.value("sha256"));
}

TEST_CASE("s21_where_only_the_look_protects_an_object_nothing_is_put_before_it_comes_about") {
  const StoreError unread{.kind = StoreErrorKind::configuration, .http_status = 403};
  const StoreError no_credentials{.kind = StoreErrorKind::configuration, .code = "NoCredentials"};
  for (const StoreError& error : {unread, no_credentials}) {
    for (const bool conditions : {false, true}) {
      CAPTURE(error.code);
      CAPTURE(conditions);
      Fixture fixture;
      const auto segment = fixture.make_segment(1);
      fixture.give(segment, {{{"one"}, {}}});
      fixture.store.poll(fixture.clock.now());  // stored; the process dies before it is told
      fixture.restart();
      if (!conditions) {
        fixture.store.leave_out_conditions();
      }
      fixture.store.faults = {{.op = "head", .key_has = "", .times = 6, .error = error}};
      segment->found_at_start = true;
      fixture.give(segment, {{{"other bytes"}, {}}});
      REQUIRE(fixture.run_to_outcomes(1));
      CHECK(fixture.out.items[0].kind == Kind::done);
      CHECK(fixture.store.overwrites == 0);
      CHECK(fixture.object(".jsonl")->bytes == "one\n");
      CHECK(fixture.store.count("put ") <= (conditions ? 2 : 1));
    }
  }
}

TEST_CASE("what_another_converter_stored_is_done_without_a_wait") {
  Fixture fixture;
  const auto segment = fixture.make_segment(1);
  fixture.give(segment, {{{"one"}, {}}});
  fixture.store.poll(fixture.clock.now());  // stored; the process dies before it is told
  fixture.restart();
  fixture.store.leave_out_conditions();
  segment->found_at_start = true;
  segment->settings.converter_version = kConverterVersion + 1;
  const MonotonicTime begin = fixture.clock.now();
  fixture.give(segment, {{{"other bytes"}, {}}});
  REQUIRE(fixture.run_to_outcomes(1));
  CHECK(fixture.clock.now() - begin < std::chrono::minutes(1));
  CHECK(fixture.store.count("put ") == 1);
  CHECK(fixture.store.overwrites == 0);
}

}  // namespace
}  // namespace sluice
