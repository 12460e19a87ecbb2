// Upload against a store in memory that does everything wrong, and a spool on a disk that fails.
#include "stages/upload.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

#include "common/pipeline/pipeline.h"
#include "common/spool/segment_files.h"
#include "fakes/fault_filesystem.h"
#include "fakes/memory_object_store.h"
#include "test_clock.h"

namespace sluice {
namespace {

static_assert(Worker<Uploader, ConvertedBlock, SegmentOutcome>);

using Kind = SegmentOutcome::Kind;
using std::chrono::milliseconds;
using std::chrono::seconds;

const StoreError kUnavailable{.kind = StoreErrorKind::retry, .http_status = 503, .code = "Down"};
const StoreError kDenied{.kind = StoreErrorKind::configuration,
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
    for (int i = 0; i < 100'000 && clock.now() < end; ++i) {
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
  const ObjectKeys keys = object_keys(
      segment->settings, {.id = segment->id,
                          .stream = segment->stream,
                          .first_received_at = segment->seal.summary.first_received_at});
  fixture.store.objects[keys.reasons] = {
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

TEST_CASE("a_store_without_metadata_compares_bytes_instead") {
  Fixture fixture;
  fixture.store.abilities = {.conditional_put = true, .metadata = false, .signs_payload = false};
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

std::vector<BlockText> large_blocks(std::size_t blocks) {
  std::vector<BlockText> texts;
  for (std::size_t i = 0; i < blocks; ++i) {
    texts.push_back({{std::string(1000, static_cast<char>('a' + i % 26))}, {}});
  }
  return texts;
}

TEST_CASE("beyond_one_part_memory_goes_back_while_blocks_are_still_to_come") {
  Fixture fixture({.concurrency = 2, .part_bytes = 2500});
  const auto segment = fixture.make_segment(10);
  auto blocks = fixture.blocks_of(segment, large_blocks(10));
  ConvertedBlock last = std::move(blocks.back());
  blocks.pop_back();
  fixture.give(std::move(blocks));
  REQUIRE(fixture.run_until([&] { return fixture.store.count("part ") == 3; }));
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
  auto blocks = fixture.blocks_of(segment, large_blocks(10));
  ConvertedBlock last = std::move(blocks.back());
  blocks.pop_back();
  fixture.give(std::move(blocks));
  REQUIRE(fixture.run_until([&] { return fixture.store.count("part ") == 3; }));
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
