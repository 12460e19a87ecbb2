// Upload over the S3 client against a server that verifies signatures and loses answers.
#include <doctest/doctest.h>

#include <algorithm>
#include <random>

#include "common/s3/s3_client.h"
#include "common/spool/segment_files.h"
#include "fakes/fake_s3_server.h"
#include "fakes/fault_filesystem.h"
#include "stages/upload.h"

namespace sluice {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct Fixture {
  explicit Fixture(UploadOptions options = {})
      : credentials({.access_key_id = "AKIATEST", .secret_access_key = "secret"}),
        client(S3Client::make(
            {.endpoint = {.endpoint_url = server.url(), .bucket = "bucket", .path_style = true},
             .ca_file = "",
             .request_deadline = milliseconds(2000),
             .low_speed_time = seconds(1)},
            {.credentials = credentials, .clock = clock})),
        ledger(filesystem, clock, {"/spool"}) {
    REQUIRE(client);
    REQUIRE(filesystem.create_directories("/spool/xml"));
    REQUIRE(filesystem.create_directories("/spool/quarantine"));
    StreamDirectory::Options stream_options;
    stream_options.directory = "/spool/xml";
    stream_options.quarantine = "/spool/quarantine";
    stream.emplace(filesystem, clock, stream_options);
    options.retry_base_delay = milliseconds(5);
    options.retry_cap = milliseconds(50);
    options.probe_interval = milliseconds(100);
    uploader = std::make_unique<Uploader>(options, Uploader::Outside{.store = **client,
                                                                     .stream = *stream,
                                                                     .ledger = ledger,
                                                                     .books = books,
                                                                     .conditions = conditions,
                                                                     .clock = clock,
                                                                     .starved_after = starved_after,
                                                                     .object_ratio = object_ratio});
  }

  SealedSegmentPtr give(std::size_t events, std::size_t event_bytes, bool rejected) {
    auto made = stream->create_segments(2, 0);
    REQUIRE(made);
    auto segment = std::make_shared<SealedSegment>();
    segment->id = (*made)[0].header.id;
    segment->settings.instance = "gate";
    segment->settings.format = OutputFormat::jsonl;
    segment->seal.summary.events = events + (rejected ? 1 : 0);
    segment->seal.summary.digest.fill(static_cast<std::uint8_t>(segment->id.num));
    for (std::uint32_t i = 0; i < events; ++i) {
      ConvertedBlock block;
      block.segment = segment;
      block.index = i;
      block.last = i + 1 == events;
      const std::string body(event_bytes, static_cast<char>('a' + i % 26));
      block.body = Buffer::copy_of(as_bytes(body), {});
      block.events = 1;
      block.pieces = 1;
      if (rejected && block.last) {
        block.rejected.push_back({});
        block.rejected.back().bytes = "<bad";
        block.rejected.back().sequence = sequence_of(segment->id.num, i + 1);
        block.pieces = 2;
      }
      REQUIRE(uploader->process(std::move(block), out));
    }
    return segment;
  }

  template <class Done>
  bool run_until(const Done& done) {
    const auto deadline = std::chrono::steady_clock::now() + seconds(60);
    while (std::chrono::steady_clock::now() < deadline) {
      REQUIRE(uploader->on_idle(out));
      if (done()) {
        return true;
      }
      uploader->poll(std::min(
          {uploader->wake_at(), deadline, std::chrono::steady_clock::now() + milliseconds(50)}));
    }
    return false;
  }
  bool run_to_outcomes(std::size_t count) {
    return run_until([&] { return out.items.size() >= count; });
  }
  [[nodiscard]] bool raised(std::string_view name) const {
    const auto current = conditions.current();
    return std::any_of(current.begin(), current.end(),
                       [&](const auto& condition) { return condition.name.starts_with(name); });
  }

  FakeS3Server server;
  SystemClock clock;
  FaultFilesystem filesystem;
  EnvironmentCredentials credentials;
  Result<std::unique_ptr<S3Client>> client;
  Books books;
  Conditions conditions;
  UploadStarvedAfter starved_after{0};
  LiveRatio object_ratio;
  std::optional<StreamDirectory> stream;
  Ledger ledger;
  VectorOutbox<SegmentOutcome> out;
  std::unique_ptr<Uploader> uploader;
};

TEST_CASE("s11_whatever_goes_wrong_each_object_is_stored_once") {
  const std::uint64_t seed = std::random_device{}();
  MESSAGE("seed " << seed);
  std::mt19937_64 random(seed);
  Fixture fixture;
  const std::vector<nlohmann::json> kinds = {
      {{"kind", "status"}, {"status", 503}, {"code", "SlowDown"}},
      {{"kind", "status"}, {"status", 500}, {"code", "InternalError"}},
      {{"kind", "reset"}},
      {{"kind", "reset"}, {"after_body", true}},
      {{"kind", "error200"}},
      {{"kind", "truncate"}},
      {{"kind", "truncate"}, {"store", true}},
      {{"kind", "wrong_etag"}},
      {{"kind", "wrong_checksum"}},
      {{"kind", "lost_reply"}}};
  for (int i = 0; i < 40; ++i) {
    nlohmann::json fault = kinds[random() % kinds.size()];
    fault["skip"] = random() % 60;
    fixture.server.fault(fault);
  }
  constexpr std::size_t kSegments = 25;
  for (std::size_t i = 0; i < kSegments; ++i) {
    fixture.give(3, 1000 + random() % 100'000, i % 2 == 0);
  }
  REQUIRE(fixture.run_to_outcomes(kSegments));
  for (const SegmentOutcome& outcome : fixture.out.items) {
    CHECK(outcome.kind == SegmentOutcome::Kind::done);
  }
  fixture.server.clear();
  CHECK(fixture.server.objects().size() == kSegments + 2UL * 13);
  CHECK(fixture.server.log().size() == kSegments + 2UL * 13);  // no key was written twice
  CHECK(fixture.server.overwrites() == 0);
  CHECK(fixture.books.events_uploaded == 3 * kSegments);
  CHECK(fixture.books.pieces_quarantined == 13);
}

TEST_CASE("s18_large_objects_go_in_parts_and_nothing_stays_behind") {
  Fixture fixture({.part_bytes = 5 * kMiB});
  fixture.server.fault({{"match", "partNumber=2"}, {"count", 2}, {"status", 500}});
  fixture.server.fault({{"match", "POST .*uploadId"}, {"kind", "lost_reply"}});
  fixture.give(9, 2'000'000, false);
  REQUIRE(fixture.run_to_outcomes(1));
  CHECK(fixture.out.items[0].kind == SegmentOutcome::Kind::done);
  const nlohmann::json objects = fixture.server.objects();
  REQUIRE(objects.size() == 1);
  CHECK(objects[0].at("bytes") == 18'000'000);
  CHECK(fixture.server.uploads().empty());
}

TEST_CASE("o1_a_secret_that_is_wrong_for_a_while_costs_nothing") {
  Fixture fixture;
  fixture.server.set({{"secret_key", "rotated"}});
  fixture.give(2, 1000, false);
  REQUIRE(fixture.run_until([&] { return fixture.raised("store.refused:xml-events/"); }));
  CHECK_FALSE(fixture.conditions.ready());
  CHECK(fixture.server.objects().empty());
  fixture.server.set({{"secret_key", "secret"}});
  REQUIRE(fixture.run_to_outcomes(1));
  CHECK(fixture.out.items[0].kind == SegmentOutcome::Kind::done);
  CHECK(fixture.conditions.current().empty());
  CHECK(fixture.server.overwrites() == 0);
}

TEST_CASE("a_refused_quarantine_prefix_never_holds_the_data_back") {
  Fixture fixture;
  fixture.server.deny("quarantine/", true);
  for (int i = 0; i < 10; ++i) {
    fixture.give(2, 1000, true);
  }
  REQUIRE(fixture.run_until([&] { return fixture.server.objects().size() == 10; }));
  CHECK(fixture.raised("store.refused:quarantine/"));
  CHECK(fixture.conditions.ready());
}

}  // namespace
}  // namespace sluice
