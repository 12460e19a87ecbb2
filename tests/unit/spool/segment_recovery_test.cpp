// What recovery keeps of a segment that nobody sealed.
#include "common/spool/segment_recovery.h"

#include <doctest/doctest.h>

#include "fakes/fault_filesystem.h"
#include "segment_builder.h"

using namespace sluice;

namespace {

const Path kDirectory = "/spool/xml";

struct Scan {
  SegmentSeal seal;
  std::vector<KeptRange> damage;
  std::optional<KeptRange> torn;
};

Scan scan(FaultFilesystem& filesystem, const SegmentHeader& header, std::uint64_t step = kMiB) {
  auto file = filesystem.open(segment_path(kDirectory, header.id), OpenMode::read_write);
  REQUIRE(file);
  SegmentRecovery recovery(std::move(*file), header);
  for (;;) {
    auto done = recovery.step(step);
    REQUIRE(done);
    if (*done) {
      return {recovery.seal(), recovery.damage(), recovery.torn_tail()};
    }
  }
}

struct Fixture {
  Fixture() {
    REQUIRE(filesystem.create_directories(kDirectory).ok());
    builder.emplace(filesystem, kDirectory, header);
  }
  FaultFilesystem filesystem;
  SegmentHeader header = test_header();
  std::optional<SegmentBuilder> builder;
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "an_unsealed_segment_is_recovered_with_the_digest_that_sealing_gives") {
  builder->group({{"<a/>", "<b/>"}, {std::string(50'000, 'x')}});
  builder->group({{"<c/>"}});
  const SegmentSummary written = builder->summary();
  for (const std::uint64_t step : {std::uint64_t{1}, std::uint64_t{1000}, kMiB}) {
    const Scan result = scan(filesystem, header, step);
    CHECK(result.seal.summary.digest == written.digest);
    CHECK(result.seal.summary.records == 3);
    CHECK(result.seal.summary.pieces() == 4);
    CHECK(result.seal.summary.run_bytes == written.run_bytes);
    CHECK(result.seal.summary.first_received_at == written.first_received_at);
    CHECK(result.seal.summary.last_received_at == written.last_received_at);
    CHECK(result.seal.summary.end == written.end);
    REQUIRE(result.seal.kept.size() == 1);
    CHECK(result.seal.kept[0].begin == kRecordsBegin);
    CHECK(result.seal.kept[0].end == written.end);
    CHECK(result.damage.empty());
    CHECK_FALSE(result.torn.has_value());
  }
}

TEST_CASE_FIXTURE(Fixture, "torn_tail_is_not_a_record") {
  builder->group({{"<a/>"}});
  const std::uint64_t durable = builder->summary().end;
  builder->group({{"<b/>"}, {"<c/>"}});
  const std::uint64_t end = builder->summary().end;
  REQUIRE(builder->file().truncate(end - 1).ok());
  const Scan result = scan(filesystem, header);
  CHECK(result.seal.summary.records == 2);
  CHECK(result.damage.empty());
  REQUIRE(result.torn.has_value());
  CHECK(result.torn->begin > durable);
  CHECK(result.torn->end == end - 1);
}

TEST_CASE_FIXTURE(Fixture, "d6_a_segment_cut_at_every_length_keeps_the_records_before") {
  std::vector<std::uint64_t> ends;
  for (int i = 0; i < 5; ++i) {
    builder->group({{"<e n=\"" + std::to_string(i) + "\"/>"}});
    ends.push_back(builder->summary().end);
  }
  std::vector<std::byte> whole(ends.back());
  REQUIRE(builder->file().pread(whole, 0).ok());
  for (std::uint64_t length = ends.back(); length >= kRecordsBegin; --length) {
    REQUIRE(builder->file().truncate(length).ok());
    const Scan result = scan(filesystem, header);
    std::size_t complete = 0;
    while (complete < ends.size() && ends[complete] <= length) {
      ++complete;
    }
    CHECK(result.seal.summary.records == complete);
    CHECK(result.damage.empty());
  }
}

TEST_CASE_FIXTURE(Fixture, "zeros_behind_the_last_record_are_no_torn_tail") {
  builder->group({{"<a/>"}});
  REQUIRE(builder->file().truncate(builder->summary().end + 10'000).ok());
  CHECK_FALSE(scan(filesystem, header).torn.has_value());
}

TEST_CASE_FIXTURE(Fixture, "damage_before_the_durable_offset_is_told_from_a_torn_tail") {
  builder->group({{"<a/>"}});
  const std::uint64_t first = builder->summary().end;
  builder->group({{"<b/>"}});
  const std::uint64_t second = builder->summary().end;
  builder->group({{"<c/>"}});
  const Path path = segment_path(kDirectory, header.id);
  filesystem.flip_bit(path, (second - 2) * 8);
  const Scan result = scan(filesystem, header);
  CHECK(result.seal.summary.records == 2);
  REQUIRE(result.damage.size() == 1);
  CHECK(result.damage[0].begin == first + kRecordHeaderBytes);
  CHECK(result.damage[0].end == second);
  CHECK_FALSE(result.torn.has_value());
  REQUIRE(result.seal.kept.size() == 2);
  CHECK(result.seal.kept[0].end == first);
  CHECK(result.seal.kept[1].begin == second);
  CHECK(result.seal.summary.first_received_at == builder->summary().first_received_at);
}

TEST_CASE_FIXTURE(Fixture, "the_first_receive_time_survives_the_loss_of_the_first_record") {
  builder->group({{"<a/>"}});
  const std::uint64_t first = builder->summary().end;
  builder->group({{"<b/>"}});
  filesystem.flip_bit(segment_path(kDirectory, header.id), (first - 2) * 8);
  const Scan result = scan(filesystem, header);
  CHECK(result.seal.summary.records == 1);
  CHECK(result.seal.summary.first_received_at == builder->summary().first_received_at);
}

TEST_CASE_FIXTURE(Fixture, "a_failed_sync_in_recovery_cuts_nothing_that_verifies") {
  builder->group({{"<a/>"}});
  builder->group({{"<b/>"}});
  filesystem.fail({.op = FaultFilesystem::Op::sync, .code = EIO});
  CHECK(scan(filesystem, header).seal.summary.records == 2);
}
