// Upload: what becomes of a segment, its objects and its files.
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

#include "common/pipeline/pipeline.h"
#include "upload_fixture.h"

namespace sluice {
namespace {

using namespace upload_test;

static_assert(Worker<Uploader, ConvertedBlock, SegmentOutcome>);

TEST_CASE("a_confirmed_segment_is_in_the_ledger_and_gone_from_the_spool") {
  Fixture fixture;
  const auto segment = fixture.make_segment(3);
  fixture.give(segment, {{{"one"}, {}}, {{"two", "three"}, {}}});
  REQUIRE(fixture.run_to_outcomes(1));
  CHECK(fixture.out.items[0].kind == Kind::done);
  CHECK(fixture.out.items[0].id == segment->id);
  CHECK_FALSE(fixture.on_disk(*segment));
  REQUIRE(fixture.store.objects.size() == 1);
  const auto* data = fixture.object(".jsonl");
  REQUIRE(data != nullptr);
  CHECK(data->bytes == "one\ntwo\nthree\n");
  CHECK(data->content_type == "application/x-ndjson");
  CHECK(data->value("source") == "xml-stream-aggregator");
  CHECK(data->value("uploaded_at").size() == 20);
  CHECK(data->value("segment") == to_string(segment->id));
  CHECK(data->value("digest") == to_hex(segment->seal.summary.digest));
  CHECK(data->value("rejected") == "0");
  CHECK(data->value("events") == "3");
  CHECK(data->value("first-seq") == std::to_string(sequence_of(segment->id.num, 0)));
  CHECK(data->value("last-seq") == std::to_string(sequence_of(segment->id.num, 2)));
  CHECK(data->value("sha256").size() == 64);
  CHECK(data->value("sluice-version") == SLUICE_VERSION);
  const auto lines = fixture.lines();
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].object == "data");
  CHECK(lines[0].events == 3);
  CHECK(lines[0].bytes == data->bytes.size());
  CHECK(lines[0].sha256 == data->value("sha256"));
  CHECK(fixture.books.events_uploaded == 3);
  CHECK(fixture.books.objects_uploaded == 1);
  CHECK(fixture.books.bytes_uploaded == data->bytes.size());
  CHECK(fixture.books.segments_done == 1);
  CHECK(fixture.books.upload_attempts == 1);
  CHECK(fixture.books.upload_retries == 0);
  CHECK(fixture.budget.bytes_used() == 0);
}

TEST_CASE("blocks_in_any_order_make_identical_bytes") {
  const std::uint64_t seed = 42;
  MESSAGE("seed " << seed);
  std::mt19937_64 random(seed);  // NOLINT(cert-msc51-cpp): a seed that is printed
  std::vector<BlockText> texts;
  for (int i = 0; i < 12; ++i) {
    BlockText text;
    for (int k = 0; k < i % 4; ++k) {
      text.events.push_back("event " + std::to_string(i) + "." + std::to_string(k));
    }
    if (i % 5 == 0) {
      text.rejected.push_back("<bad " + std::to_string(i));
    }
    texts.push_back(std::move(text));
  }
  for (const OutputFormat format : {OutputFormat::xml, OutputFormat::json, OutputFormat::jsonl}) {
    std::map<std::string, std::string> first;
    for (int round = 0; round < 20; ++round) {
      Fixture fixture;
      auto segment = fixture.make_segment(20);
      segment->id = {.num = 0, .uid = 7};  // the same keys in every round
      segment->settings.format = format;
      auto blocks = fixture.blocks_of(segment, texts);
      if (round > 0) {
        std::shuffle(blocks.begin(), blocks.end(), random);
      }
      fixture.give(std::move(blocks));
      REQUIRE(fixture.run_to_outcomes(1));
      std::map<std::string, std::string> bytes;
      for (const auto& [key, object] : fixture.store.objects) {
        bytes[key] = object.bytes;
      }
      CHECK(bytes.size() == 3);
      if (round == 0) {
        first = bytes;
      }
      CHECK(bytes == first);
    }
  }
}

TEST_CASE("rejected_pieces_go_to_quarantine_byte_for_byte_with_their_reasons") {
  Fixture fixture;
  const auto segment = fixture.make_segment(4);
  const std::string odd("<b\0\xFF\n", 5);
  fixture.give(segment, {{{"one"}, {"<a>"}}, {{"two"}, {odd}}});
  REQUIRE(fixture.run_to_outcomes(1));
  const auto* raw = fixture.object("_raw.xml");
  const auto* reasons = fixture.object("_raw.reasons.jsonl");
  REQUIRE(raw != nullptr);
  REQUIRE(reasons != nullptr);
  CHECK(raw->bytes == "<a>" + odd);
  std::istringstream lines(reasons->bytes);
  std::string line;
  std::vector<nlohmann::json> parsed;
  while (std::getline(lines, line)) {
    parsed.push_back(nlohmann::json::parse(line));
  }
  REQUIRE(parsed.size() == 2);
  CHECK(parsed[0].at("offset") == 0);
  CHECK(parsed[0].at("length") == 3);
  CHECK(parsed[0].at("reason") == "not well-formed");
  CHECK(parsed[0].at("line") == 3);
  CHECK(parsed[0].at("column") == 7);
  CHECK(parsed[0].at("time") == "2023-11-14T22:13:20.123Z");
  CHECK(parsed[0].at("sequence") == sequence_of(segment->id.num, 1));
  CHECK(parsed[0].at("continues") == false);
  CHECK(parsed[0].at("peer").is_string());
  CHECK(parsed[1].at("offset") == 3);
  CHECK(parsed[1].at("length") == 5);
  CHECK(raw->value("rejected") == reasons->value("rejected"));
  CHECK(raw->value("rejected").size() == 64);
  CHECK(fixture.books.events_uploaded == 2);
  CHECK(fixture.books.pieces_quarantined == 2);
  CHECK(fixture.lines().size() == 3);
}

TEST_CASE("a_segment_without_events_makes_no_data_object") {
  Fixture fixture;
  const auto segment = fixture.make_segment(1);
  fixture.give(segment, {{{}, {"<a>"}}});
  const auto empty = fixture.make_segment(0);
  fixture.give(empty, {{{}, {}}});
  REQUIRE(fixture.run_to_outcomes(2));
  CHECK(fixture.store.objects.size() == 2);
  CHECK(fixture.object("_raw.xml") != nullptr);
  CHECK_FALSE(fixture.on_disk(*empty));
}

TEST_CASE("d18_the_list_of_rejects_is_durable_before_the_first_put") {
  Fixture fixture;
  const auto segment = fixture.make_segment(2);
  const Path list = rejects_path(fixture.stream->path(), segment->id);
  fixture.filesystem.fail(
      {.op = FaultFilesystem::Op::write, .times = 3, .code = EIO, .path_has = ".rejects"});
  fixture.give(segment, {{{"one"}, {"<a>"}}});
  CHECK(fixture.store.in_flight() == 0);
  CHECK(fixture.raised("spool.upload_files"));
  REQUIRE(fixture.run_until([&] { return fixture.store.in_flight() > 0; }));
  CHECK(fixture.store.operations.empty());
  const auto written = read_rejects(fixture.filesystem, fixture.stream->path(), segment->id);
  REQUIRE(written);
  REQUIRE(written->has_value());
  CHECK((*written)->rejects.size() == 1);
  REQUIRE(fixture.run_to_outcomes(1));
  CHECK_FALSE(fixture.raised("spool.upload_files"));
  CHECK_FALSE(fixture.filesystem.info(list).ok());
}

TEST_CASE("d1_a_ledger_that_cannot_be_written_never_delays_unlink") {
  Fixture fixture;
  fixture.filesystem.fail(
      {.op = FaultFilesystem::Op::write, .times = 1000, .code = ENOSPC, .path_has = "ledger"});
  const auto segment = fixture.make_segment(1);
  fixture.give(segment, {{{"one"}, {}}});
  REQUIRE(fixture.run_to_outcomes(1));
  CHECK_FALSE(fixture.on_disk(*segment));
  CHECK(fixture.ledger.pending() == 1);
  fixture.filesystem.clear_faults();
  fixture.clock.advance(seconds(5));
  REQUIRE(fixture.uploader->on_idle(fixture.out));
  CHECK(fixture.lines().size() == 1);
}

TEST_CASE("the_newest_segment_is_not_unlinked_before_its_successor_is_durable") {
  Fixture fixture;
  auto made = fixture.stream->create_segments(1, 0);
  REQUIRE(made);
  auto segment = std::make_shared<SealedSegment>();
  segment->id = (*made)[0].header.id;
  segment->path = segment_path(fixture.stream->path(), segment->id);
  segment->seal.summary.events = 1;
  fixture.give(segment, {{{"one"}, {}}});
  CHECK_FALSE(fixture.run_until([&] { return !fixture.out.items.empty(); }, seconds(30)));
  CHECK(fixture.store.objects.size() == 1);
  CHECK(fixture.on_disk(*segment));
  REQUIRE(fixture.stream->create_segments(1, 0));
  REQUIRE(fixture.run_to_outcomes(1));
  CHECK_FALSE(fixture.on_disk(*segment));
}

TEST_CASE("pieces_whose_records_verify_no_more_are_counted_as_lost") {
  Fixture fixture;
  fixture.give(fixture.make_segment(5), {{{"one", "two"}, {}}});
  REQUIRE(fixture.run_to_outcomes(1));
  CHECK(fixture.books.pieces_lost_to_damage == 3);
  CHECK(fixture.books.events_uploaded == 2);
}

TEST_CASE("d7_a_segment_with_damage_is_uploaded_without_it_and_kept_in_quarantine") {
  Fixture fixture;
  const auto segment = fixture.make_segment(3);
  auto blocks = fixture.blocks_of(segment, {{{"one", "two"}, {}}});
  blocks.front().damaged_bytes = 100;
  fixture.give(std::move(blocks));
  REQUIRE(fixture.run_to_outcomes(1));
  CHECK(fixture.out.items[0].kind == SegmentOutcome::Kind::done);
  CHECK(fixture.books.events_uploaded == 2);
  CHECK_FALSE(fixture.on_disk(*segment));
  CHECK(fixture.filesystem.info(fixture.stream->quarantine() / segment->path.filename()).ok());
  CHECK(fixture.raised("spool.damaged:"));
}

TEST_CASE("finish_waits_for_running_uploads_and_stop_ends_it") {
  std::atomic<bool> stop{false};
  Fixture fixture({.stop = &stop});
  for (int i = 0; i < 3; ++i) {
    fixture.give(fixture.make_segment(1), {{{"event"}, {}}});
  }
  REQUIRE(fixture.uploader->finish(fixture.out));
  CHECK(fixture.out.items.size() == 3);

  fixture.store.faults = {{.times = -1, .error = kDenied}};
  const auto held = fixture.make_segment(1);
  fixture.give(held, {{{"event"}, {}}});
  stop = true;
  REQUIRE(fixture.uploader->finish(fixture.out));
  CHECK(fixture.out.items.size() == 3);
  CHECK(fixture.on_disk(*held));
}

TEST_CASE("an_uploader_that_goes_leaves_answers_to_nobody") {
  Fixture fixture;
  fixture.store.answers = false;
  fixture.give(fixture.make_segment(1), {{{"event"}, {}}});
  CHECK(fixture.store.in_flight() == 1);
  fixture.restart();
  fixture.store.answers = true;
  fixture.store.poll(fixture.clock.now());
  REQUIRE(fixture.uploader->on_idle(fixture.out));
  CHECK(fixture.out.items.empty());
}

}  // namespace
}  // namespace sluice
