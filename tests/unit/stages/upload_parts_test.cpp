// Upload: objects in parts, and memory.
#include "common/s3/object_key.h"
#include "upload_fixture.h"

namespace sluice {
namespace {

using namespace upload_test;

std::vector<BlockText> large_blocks(std::size_t blocks) {
  std::vector<BlockText> texts;
  for (std::size_t i = 0; i < blocks; ++i) {
    texts.push_back({{std::string(1000, static_cast<char>('a' + i % 26))}, {}});
  }
  return texts;
}

// Ten blocks, the last of which is the caller's to give; three parts of 2500 bytes have gone out.
ConvertedBlock give_all_but_the_last(Fixture& fixture, const SealedSegmentPtr& segment) {
  auto blocks = fixture.blocks_of(segment, large_blocks(10));
  ConvertedBlock last = std::move(blocks.back());
  blocks.pop_back();
  fixture.give(std::move(blocks));
  REQUIRE(fixture.run_until([&] { return fixture.store.count("part ") == 3; }));
  return last;
}

TEST_CASE("beyond_one_part_memory_goes_back_while_blocks_are_still_to_come") {
  Fixture fixture({.concurrency = 2, .part_bytes = 2500});
  const auto segment = fixture.make_segment(10);
  ConvertedBlock last = give_all_but_the_last(fixture, segment);
  CHECK(fixture.store.objects.empty());
  // Nine blocks have come; all that is kept is what the parts did not take, and the one to come.
  CHECK(fixture.budget.bytes_used() < 4 * (1001 + 4096));
  REQUIRE(fixture.uploader->process(std::move(last), fixture.out));
  REQUIRE(fixture.run_to_outcomes(1));
  CHECK(fixture.out.items[0].kind == Kind::done);
  const auto* data = fixture.object(".jsonl");
  REQUIRE(data != nullptr);
  std::string expected;
  for (const BlockText& text : large_blocks(10)) {
    expected += text.events[0] + "\n";
  }
  CHECK(data->bytes == expected);
  CHECK(data->value("segment") == to_string(segment->id));
  CHECK(fixture.store.count("part ") == 5);
  CHECK(fixture.store.most_in_flight <= 2);
  CHECK(fixture.books.bytes_uploaded == expected.size());
  CHECK(fixture.budget.bytes_used() == 0);
}

TEST_CASE("upload_says_when_it_can_send_nothing_before_more_blocks_come") {
  Fixture fixture({.part_bytes = 2500});
  const auto segment = fixture.make_segment(4);
  auto blocks = fixture.blocks_of(segment, large_blocks(4));
  fixture.store.answers = false;
  const auto give = [&](std::size_t index) {
    REQUIRE(fixture.uploader->process(std::move(blocks[index]), fixture.out));
  };
  give(1);
  CHECK(fixture.starved_after == 1);  // its forerunner is to come
  give(0);
  CHECK(fixture.starved_after == 2);  // not a part yet
  give(2);
  CHECK(fixture.starved_after == kUploadBusy);  // the upload is being created
  fixture.store.answers = true;
  REQUIRE(fixture.run_until([&] { return fixture.starved_after == 3; }));
  CHECK(fixture.store.count("part ") == 1);
  give(3);
  CHECK(fixture.starved_after == kUploadBusy);
  REQUIRE(fixture.run_to_outcomes(1));
  CHECK(fixture.starved_after == 4);
}

TEST_CASE("rejected_bytes_beyond_the_memory_never_hold_the_data_back_while_their_prefix_refuses") {
  Fixture fixture({.part_bytes = 2500});
  fixture.store.faults = {{.key_has = "quarantine/", .times = -1, .error = kDenied}};
  const auto segment = fixture.make_segment(20);
  std::vector<BlockText> texts = large_blocks(10);
  for (BlockText& text : texts) {
    text.rejected.push_back(std::string(1000, '<'));
  }
  auto blocks = fixture.blocks_of(segment, texts);
  ConvertedBlock last = std::move(blocks.back());
  blocks.pop_back();
  fixture.give(std::move(blocks));
  // Nine blocks have come: nothing is kept of the rejected pieces, and of the data what the parts
  // did not take.
  REQUIRE(fixture.run_until([&] { return fixture.budget.bytes_used() < 4 * (1001 + 4096); },
                            seconds(30)));
  REQUIRE(fixture.run_until([&] { return fixture.starved_after == 9; }, seconds(30)));
  REQUIRE(fixture.uploader->process(std::move(last), fixture.out));
  REQUIRE(fixture.run_to_outcomes(1));
  CHECK(fixture.out.items[0].kind == Kind::parked);
  REQUIRE(fixture.object(".jsonl") != nullptr);
  CHECK(fixture.object(".jsonl")->bytes.size() == 10 * 1001);
  CHECK(fixture.store.objects.size() == 1);
  CHECK(fixture.on_disk(*segment));
  CHECK(fixture.budget.bytes_used() == 0);
  fixture.store.faults.clear();
  REQUIRE(fixture.run_to_outcomes(2));
  CHECK(fixture.out.items[1].kind == Kind::postponed);
  fixture.give(segment, texts);
  REQUIRE(fixture.run_to_outcomes(3));
  CHECK(fixture.out.items[2].kind == Kind::done);
  CHECK(fixture.object("_raw.xml")->bytes == std::string(10'000, '<'));
  CHECK(fixture.store.writes.size() == 3);
  CHECK(fixture.books.events_uploaded == 10);
  CHECK(fixture.books.pieces_quarantined == 10);
}

TEST_CASE("exactly_one_part_is_a_single_put") {
  Fixture fixture({.part_bytes = 2002});
  fixture.give(fixture.make_segment(2), large_blocks(2));
  REQUIRE(fixture.run_to_outcomes(1));
  CHECK(fixture.store.count("put ") == 1);
  CHECK(fixture.store.count("create ") == 0);
}

TEST_CASE("s18_parts_that_fail_are_sent_again_and_a_lost_answer_to_complete_is_looked_up") {
  Fixture fixture({.part_bytes = 2500});
  fixture.store.faults = {{.op = "create", .error = kUnavailable},
                          {.op = "part", .skip = 1, .times = 2, .error = kUnavailable},
                          {.op = "complete", .error = kUnavailable, .carried_out = true}};
  fixture.give(fixture.make_segment(10), large_blocks(10));
  REQUIRE(fixture.run_to_outcomes(1));
  CHECK(fixture.out.items[0].kind == Kind::done);
  CHECK(fixture.store.writes.size() == 1);
  CHECK(fixture.object(".jsonl")->bytes.size() == 10 * 1001);
  CHECK(fixture.store.count("part ") == 7);
}

TEST_CASE("s1_an_object_confirmed_with_another_checksum_is_read_back_before_it_counts") {
  const StoreError wrong{.kind = StoreErrorKind::retry, .code = "ChecksumMismatch"};
  for (const bool damaged : {false, true}) {
    Fixture fixture;
    fixture.store.faults = {{.op = "put", .error = wrong, .carried_out = true}};
    const auto segment = fixture.make_segment(1);
    fixture.give(segment, {{{"one"}, {}}});
    REQUIRE(fixture.run_until([&] { return fixture.store.objects.size() == 1; }));
    std::string& stored = fixture.store.objects.begin()->second.bytes;
    stored = damaged ? "onX\n" : stored;
    REQUIRE(fixture.run_to_outcomes(1));
    CHECK(fixture.out.items[0].kind == (damaged ? Kind::set_aside : Kind::done));
    CHECK(fixture.on_disk(*segment) == false);
    CHECK(fixture.store.count("get ") == 1);
    CHECK(fixture.store.count("put ") == 2);  // the second one finds it there
    CHECK(fixture.store.overwrites == 0);
    CHECK(fixture.raised("upload.set_aside") == damaged);
    CHECK(fixture.books.pieces_set_aside == (damaged ? 1 : 0));
  }
}

TEST_CASE("s1_the_same_wrong_checksum_three_times_is_an_alarm") {
  Fixture fixture;
  const StoreError wrong{.kind = StoreErrorKind::retry, .code = "ChecksumMismatch"};
  fixture.store.faults = {{.op = "put", .times = 2, .error = wrong}};
  fixture.give(fixture.make_segment(1), {{{"one"}, {}}});
  REQUIRE(fixture.run_to_outcomes(1));
  CHECK_FALSE(fixture.raised("store.checksum"));
  fixture.store.faults = {{.op = "put", .times = 3, .error = wrong}};
  fixture.give(fixture.make_segment(1), {{{"two"}, {}}});
  REQUIRE(fixture.run_to_outcomes(2));
  CHECK(fixture.raised("store.checksum"));
}

TEST_CASE("s18_what_an_earlier_process_left_open_is_aborted_before_parts_of_our_own_begin") {
  Fixture fixture({.part_bytes = 2500});
  const auto segment = fixture.make_segment(10);
  auto blocks = fixture.blocks_of(segment, large_blocks(10));
  blocks.pop_back();
  fixture.give(std::move(blocks));
  REQUIRE(fixture.run_until([&] { return fixture.store.count("part ") == 3; }));
  // Another instance's, and that of a segment that only the ledger still knows.
  const auto begin = [&](const std::string& key) {
    fixture.store.create_multipart({.key = key, .content_type = ""}, [](const auto&) {});
    fixture.store.poll(fixture.clock.now());
  };
  const SegmentId gone{.num = 7, .uid = 8};
  LedgerEntry line;
  line.key = "k";
  line.object = "data";
  line.segment = gone;
  fixture.ledger.append(line);
  REQUIRE(fixture.ledger.flush());
  begin("xml-events/20260101_000000_gate_" + to_string(gone) + ".xml");
  begin("xml-events/20260101_000000_gate_" + to_string(SegmentId{.num = 7, .uid = 9}) + ".xml");
  REQUIRE(fixture.store.open_uploads() == 3);

  fixture.options.leftover_prefixes = {"xml-events/", "quarantine/"};
  fixture.store.faults = {{.op = "list_multipart", .times = 2, .error = kUnavailable}};
  fixture.restart();
  segment->found_at_start = true;
  fixture.give(segment, large_blocks(10));
  REQUIRE(fixture.run_to_outcomes(1));
  CHECK(fixture.out.items[0].kind == Kind::done);
  CHECK(fixture.object(".jsonl")->bytes.size() == 10 * 1001);
  CHECK(fixture.store.open_uploads() == 1);  // the other instance's
  CHECK(fixture.store.aborted == 2);
  CHECK(fixture.store.writes.size() == 1);
}

TEST_CASE("s18_a_lost_multipart_upload_begins_again_from_the_spool") {
  Fixture fixture({.part_bytes = 2500});
  const auto segment = fixture.make_segment(10);
  ConvertedBlock last = give_all_but_the_last(fixture, segment);
  fixture.store.forget_uploads();
  REQUIRE(fixture.uploader->process(std::move(last), fixture.out));
  REQUIRE(fixture.run_to_outcomes(1));
  CHECK(fixture.out.items[0].kind == Kind::postponed);
  CHECK(fixture.on_disk(*segment));
  fixture.give(segment, large_blocks(10));
  REQUIRE(fixture.run_to_outcomes(2));
  CHECK(fixture.out.items[1].kind == Kind::done);
  CHECK(fixture.object(".jsonl")->bytes.size() == 10 * 1001);
  CHECK(fixture.store.writes.size() == 1);
  CHECK(fixture.books.events_uploaded == 10);
}

TEST_CASE("s18_a_store_that_always_forgets_the_upload_is_not_sent_it_without_a_pause") {
  Fixture fixture({.part_bytes = 2500});
  const auto segment = fixture.make_segment(10);
  fixture.store.faults = {
      {.op = "complete",
       .key_has = "",
       .times = -1,
       .error = {.kind = StoreErrorKind::upload_lost, .http_status = 400, .code = "InvalidPart"}}};
  const MonotonicTime begin = fixture.clock.now();
  for (std::size_t times = 1; times <= 12; ++times) {
    segment->found_at_start = times > 1;  // Rotate gives what was postponed so
    fixture.give(segment, large_blocks(10));
    REQUIRE(fixture.run_to_outcomes(times));
    CHECK(fixture.out.items.back().kind == Kind::postponed);
  }
  CHECK(fixture.clock.now() - begin > std::chrono::minutes(1));
  CHECK(fixture.store.open_uploads() == 0);
  fixture.store.faults.clear();
  fixture.give(segment, large_blocks(10));
  REQUIRE(fixture.run_to_outcomes(13));
  CHECK(fixture.out.items.back().kind == Kind::done);
}

TEST_CASE("s1_an_object_in_parts_that_was_confirmed_with_another_checksum_is_set_aside") {
  Fixture fixture({.part_bytes = 2500});
  const auto segment = fixture.make_segment(10);
  fixture.store.faults = {
      {.op = "complete",
       .key_has = "",
       .times = 1,
       .error = {.kind = StoreErrorKind::retry, .http_status = 200, .code = "ChecksumMismatch"},
       .carried_out = true}};
  fixture.give(segment, large_blocks(10));
  REQUIRE(fixture.run_to_outcomes(1));
  CHECK(fixture.out.items[0].kind == Kind::set_aside);
  CHECK(fixture.raised("upload.set_aside"));
  CHECK(fixture.store.writes.size() == 1);
}

TEST_CASE("s18_an_upload_whose_object_is_refused_or_there_already_is_aborted") {
  for (const StoreError& error :
       {StoreError{
            .kind = StoreErrorKind::this_object, .http_status = 400, .code = "EntityTooSmall"},
        StoreError{.kind = StoreErrorKind::exists, .http_status = 412, .code = "Precondition"}}) {
    CAPTURE(error.code);
    Fixture fixture({.part_bytes = 2500});
    const auto segment = fixture.make_segment(10);
    if (error.kind == StoreErrorKind::exists) {
      const std::string key =
          object_keys(segment->settings,
                      {.id = segment->id,
                       .stream = segment->stream,
                       .first_received_at = segment->seal.summary.first_received_at})
              .data;
      fixture.store.objects[key] = {
          .bytes = "of another", .content_type = {}, .metadata = {}, .etag = "e"};
    }
    fixture.store.faults = {{.op = "complete", .key_has = "", .times = -1, .error = error}};
    fixture.give(segment, large_blocks(10));
    REQUIRE(fixture.run_to_outcomes(1));
    CHECK(fixture.out.items[0].kind == Kind::set_aside);
    CHECK(fixture.store.open_uploads() == 0);
    CHECK(fixture.store.overwrites == 0);
  }
}

TEST_CASE("s4_bytes_that_arrive_garbled_twice_are_read_from_the_spool_again") {
  Fixture fixture;
  const auto segment = fixture.make_segment(1);
  fixture.store.faults = {
      {.op = "put",
       .key_has = "",
       .times = 2,
       .error = {.kind = StoreErrorKind::retry, .http_status = 400, .code = "BadDigest"}}};
  fixture.give(segment, {{{"one"}, {}}});
  REQUIRE(fixture.run_to_outcomes(1));
  CHECK(fixture.out.items[0].kind == Kind::postponed);
  CHECK(fixture.on_disk(*segment));
  fixture.give(segment, {{{"one"}, {}}});
  REQUIRE(fixture.run_to_outcomes(2));
  CHECK(fixture.out.items[1].kind == Kind::done);
}

TEST_CASE("a_multipart_object_has_its_list_of_rejects_on_disk_even_if_it_is_empty") {
  Fixture fixture({.part_bytes = 2500});
  const auto segment = fixture.make_segment(10);
  fixture.store.faults = {{.op = "complete", .times = -1, .error = kUnavailable}};
  fixture.give(segment, large_blocks(10));
  REQUIRE(fixture.run_until([&] { return fixture.store.count("complete ") > 0; }));
  const auto list = read_rejects(fixture.filesystem, fixture.stream->path(), segment->id);
  REQUIRE(list);
  REQUIRE(list->has_value());
  CHECK((*list)->rejects.empty());
}

}  // namespace
}  // namespace sluice
