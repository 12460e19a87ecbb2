// Side seals, reject lists, unlinking and setting aside, with failing syncs and crashes between any
// two calls.
#include "common/spool/segment_files.h"

#include <doctest/doctest.h>

#include "common/spool/segment_catalog.h"
#include "common/spool/segment_reader.h"
#include "fakes/fault_filesystem.h"
#include "segment_builder.h"
#include "test_clock.h"

using namespace sluice;

namespace {

const Path kDirectory = "/spool/xml";
const Path kQuarantine = "/spool/quarantine";

struct Fixture {
  Fixture() {
    REQUIRE(filesystem.create_directories(kDirectory).ok());
    REQUIRE(filesystem.create_directories(kQuarantine).ok());
    StreamDirectory::Options options;
    options.directory = kDirectory;
    options.quarantine = kQuarantine;
    stream.emplace(filesystem, clock, options);
  }
  [[nodiscard]] bool there(const Path& path) { return filesystem.info(path).ok(); }

  FaultFilesystem filesystem;
  ManualClock clock;
  std::optional<StreamDirectory> stream;
  SegmentHeader header = test_header();
};

SegmentSeal some_seal() {
  SegmentSeal seal;
  seal.summary.events = 3;
  seal.summary.records = 2;
  seal.summary.end = 9000;
  seal.summary.first_received_at = WallTime(std::chrono::nanoseconds(1'700'000'000'123'456'789));
  seal.summary.digest.fill(0xAB);
  seal.kept = {{8192, 8500}, {8700, 9000}};
  return seal;
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a_side_seal_is_read_as_written_from_either_copy") {
  const SegmentId id = header.id;
  CHECK_FALSE(read_side_seal(filesystem, kDirectory, id).value().has_value());
  REQUIRE(write_side_seal(*stream, id, some_seal()).ok());
  const Path path = seal_path(kDirectory, id);
  for (int copy = 0; copy < 2; ++copy) {
    auto seal = read_side_seal(filesystem, kDirectory, id).value();
    REQUIRE(seal);
    CHECK(seal->side_file);
    CHECK(seal->summary.events == 3);
    CHECK(seal->summary.digest == some_seal().summary.digest);
    CHECK(seal->summary.first_received_at == some_seal().summary.first_received_at);
    REQUIRE(seal->kept.size() == 2);
    CHECK(seal->kept[1].begin == 8700);
    filesystem.flip_bit(path, 60UL * 8);
  }
  filesystem.flip_bit(path, (4096UL + 60) * 8);
  CHECK(read_side_seal(filesystem, kDirectory, id).ok());
  filesystem.flip_bit(path, 60UL * 8);
  // A seal that does not verify never counts as absent.
  CHECK(read_side_seal(filesystem, kDirectory, id).error().kind == ErrorKind::rejected);
}

TEST_CASE_FIXTURE(Fixture, "a_seal_of_another_segment_does_not_verify") {
  REQUIRE(write_side_seal(*stream, header.id, some_seal()).ok());
  SegmentId other = header.id;
  ++other.num;
  REQUIRE(filesystem.link(seal_path(kDirectory, header.id), seal_path(kDirectory, other)).ok());
  CHECK(read_side_seal(filesystem, kDirectory, other).error().kind == ErrorKind::rejected);
}

TEST_CASE_FIXTURE(Fixture, "rejects_are_read_as_written_and_their_hash_is_stable") {
  RejectList list;
  CHECK(list.hash() == "0");
  list.rejects = {{1, "mismatched tag", 1, 7}, {9, "bad \xff byte", 2, 3}};
  const std::string hash = list.hash();
  CHECK(hash.size() == 64);
  REQUIRE(write_rejects(*stream, header.id, list).ok());
  auto read = read_rejects(filesystem, kDirectory, header.id).value();
  REQUIRE(read);
  REQUIRE(read->rejects.size() == 2);
  CHECK(read->rejects[0].reason == "mismatched tag");
  CHECK(read->rejects[1].index == 9);
  CHECK(read->hash() == hash);
}

TEST_CASE_FIXTURE(Fixture, "d16_a_side_seal_is_made_again_after_a_failed_directory_sync") {
  filesystem.fail({.op = FaultFilesystem::Op::sync_directory, .times = 1, .code = EIO});
  REQUIRE(write_side_seal(*stream, header.id, some_seal()).ok());
  filesystem.restart(1);
  CHECK(read_side_seal(filesystem, kDirectory, header.id).value().has_value());
}

TEST_CASE_FIXTURE(Fixture, "d16_an_entry_made_before_another_threads_failed_sync_is_made_again") {
  // The other thread fails right before our sync: ours looks good and is not.
  DirectorySync& entries = stream->entries();
  bool once = true;
  int made = 0;
  Status status = entries.make([&]() -> Status {
    ++made;
    auto file = filesystem.open(kDirectory / "entry", OpenMode::create_or_open);
    if (once) {
      once = false;
      filesystem.fail({.op = FaultFilesystem::Op::sync_directory, .times = 1, .code = EIO});
      CHECK_FALSE(entries.sync(entries.epoch()).ok());
    }
    return {};
  });
  CHECK(status.ok());
  CHECK(made == 2);
}

TEST_CASE_FIXTURE(Fixture, "d17_the_reserve_serves_a_side_seal_on_a_full_disk") {
  DiskReserve reserve(filesystem, "/spool/RESERVE");
  reserve.fill();
  StreamDirectory::Options options;
  options.directory = kDirectory;
  options.quarantine = kQuarantine;
  options.reserve = &reserve;
  StreamDirectory with_reserve(filesystem, clock, options);
  filesystem.set_capacity(kMiB);
  CHECK(write_side_seal(*stream, header.id, some_seal()).error().code == ENOSPC);
  CHECK(write_side_seal(with_reserve, header.id, some_seal()).ok());
  CHECK(read_side_seal(filesystem, kDirectory, header.id).value().has_value());
}

TEST_CASE_FIXTURE(Fixture, "unlinking_leaves_no_unsealed_segment_behind_whatever_the_crash_does") {
  // The .wal is abandoned: without its .seal it would count as never sealed, with double events.
  for (std::uint64_t operations = 1; operations < 12; ++operations) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      Fixture fresh;
      SegmentBuilder builder(fresh.filesystem, kDirectory, fresh.header);
      builder.group({{"<a/>"}});
      REQUIRE(write_side_seal(*fresh.stream, fresh.header.id, some_seal()).ok());
      if (seed % 3 == 0) {
        fresh.filesystem.fail({.op = FaultFilesystem::Op::sync_directory, .code = EIO});
      }
      fresh.filesystem.power_off_after(operations);
      (void)unlink_segment(*fresh.stream, fresh.header.id).ok();
      fresh.filesystem.restart(seed);
      if (fresh.there(segment_path(kDirectory, fresh.header.id))) {
        CHECK(read_side_seal(fresh.filesystem, kDirectory, fresh.header.id).value().has_value());
      }
      REQUIRE(unlink_segment(*fresh.stream, fresh.header.id).ok());
      CHECK_FALSE(fresh.there(segment_path(kDirectory, fresh.header.id)));
      CHECK_FALSE(fresh.there(seal_path(kDirectory, fresh.header.id)));
    }
  }
}

TEST_CASE_FIXTURE(Fixture, "setting_aside_never_loses_the_segment_whatever_the_crash_does") {
  for (std::uint64_t operations = 1; operations < 25; ++operations) {
    for (std::uint64_t seed = 0; seed < 10; ++seed) {
      Fixture fresh;
      SegmentBuilder builder(fresh.filesystem, kDirectory, fresh.header);
      builder.group({{"<a/>"}});
      REQUIRE(write_side_seal(*fresh.stream, fresh.header.id, some_seal()).ok());
      if (seed % 3 == 0) {
        fresh.filesystem.fail({.op = FaultFilesystem::Op::sync_directory, .code = EIO});
      }
      fresh.filesystem.power_off_after(operations);
      (void)set_segment_aside(*fresh.stream, fresh.header.id, {.reason = "refused"}).ok();
      fresh.filesystem.restart(seed);
      const bool here = fresh.there(segment_path(kDirectory, fresh.header.id));
      const bool aside = fresh.there(segment_path(kQuarantine, fresh.header.id));
      CHECK((here || aside));
      CHECK((!here || fresh.there(seal_path(kDirectory, fresh.header.id))));
      CHECK((here || fresh.there(seal_path(kQuarantine, fresh.header.id))));
      REQUIRE(set_segment_aside(*fresh.stream, fresh.header.id, {.reason = "refused"}).ok());
      CHECK_FALSE(fresh.there(segment_path(kDirectory, fresh.header.id)));
      CHECK(fresh.there(segment_path(kQuarantine, fresh.header.id)));
    }
  }
}

TEST_CASE_FIXTURE(Fixture,
                  "returning_never_shows_the_segment_without_its_seal_whatever_the_crash_does") {
  for (std::uint64_t operations = 1; operations < 30; ++operations) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      Fixture fresh;
      SegmentBuilder builder(fresh.filesystem, kDirectory, fresh.header);
      builder.group({{"<a/>"}});
      REQUIRE(write_side_seal(*fresh.stream, fresh.header.id, some_seal()).ok());
      REQUIRE(write_rejects(*fresh.stream, fresh.header.id, {{{1, "why", 0, 0}}}).ok());
      REQUIRE(set_segment_aside(*fresh.stream, fresh.header.id, {.reason = "refused"}).ok());
      if (seed % 3 == 0) {
        fresh.filesystem.fail({.op = FaultFilesystem::Op::sync_directory, .code = EIO});
      }
      fresh.filesystem.power_off_after(operations);
      (void)return_segment(*fresh.stream, fresh.header.id).ok();
      fresh.filesystem.restart(seed);
      bool anywhere = false;
      for (const Path& folder : {kDirectory, kQuarantine}) {
        if (fresh.there(segment_path(folder, fresh.header.id))) {
          anywhere = true;
          CHECK(read_side_seal(fresh.filesystem, folder, fresh.header.id).value().has_value());
          CHECK(read_rejects(fresh.filesystem, folder, fresh.header.id).value().has_value());
        }
      }
      CHECK(anywhere);
      REQUIRE(return_segment(*fresh.stream, fresh.header.id).ok());
      CHECK(fresh.there(segment_path(kDirectory, fresh.header.id)));
      CHECK(fresh.there(seal_path(kDirectory, fresh.header.id)));
      CHECK(fresh.filesystem.list(kQuarantine).value().empty());
    }
  }
}

TEST_CASE_FIXTURE(Fixture, "damage_is_copied_to_quarantine_once") {
  SegmentBuilder builder(filesystem, kDirectory, header);
  builder.group({{"<secret/>"}});
  const QuarantinedRange what{{8192, 8300}, "damage", kMiB, "does not verify"};
  REQUIRE(quarantine_range(*stream, header.id, builder.file(), what).ok());
  REQUIRE(quarantine_range(*stream, header.id, builder.file(), what).ok());
  const auto entries = filesystem.list(kQuarantine).value();
  REQUIRE(entries.size() == 2);
  CHECK(entries[0].name == "seg-" + to_string(header.id) + ".damage-0000000000002000");
  CHECK(entries[0].info.bytes == 108);
  CHECK(entries[1].name == entries[0].name + ".why.json");
}

TEST_CASE_FIXTURE(Fixture, "d8_odd_files_named_like_a_segment_are_listed_apart") {
  SegmentBuilder builder(filesystem, kDirectory, header);
  const auto name = [](int n) { return "seg-" + to_string(SegmentId{9, std::uint64_t(n)}); };
  filesystem.make_odd(kDirectory / (name(1) + ".wal"), FileType::other);
  filesystem.make_odd(kDirectory / (name(2) + ".wal"), FileType::symlink);
  filesystem.make_odd(kDirectory / (name(3) + ".wal"), FileType::directory);
  filesystem.make_odd(kDirectory / (name(4) + ".wal.bak"), FileType::regular);
  filesystem.make_odd(kDirectory / "seg-0000000000000001-000000000000000G.wal", FileType::regular);
  filesystem.make_odd(kDirectory / (name(5) + ".seal"), FileType::regular);
  filesystem.make_odd(kDirectory / (name(6) + ".rejects.tmp"), FileType::regular);
  const auto listing = list_segments(filesystem, kDirectory).value();
  REQUIRE(listing.segments.size() == 1);
  CHECK(listing.segments[0].id == header.id);
  CHECK(listing.odd.size() == 3);
  CHECK(listing.orphans.size() == 1);
  CHECK(listing.leftover.size() == 1);
}

TEST_CASE("a_segment_that_cannot_be_set_aside_stays_where_it_is") {
  using Op = FaultFilesystem::Op;
  for (const Op op : {Op::link, Op::write, Op::sync, Op::rename, Op::sync_directory}) {
    Fixture fresh;
    SegmentBuilder builder(fresh.filesystem, kDirectory, fresh.header);
    builder.group({{"<a/>"}});
    REQUIRE(write_side_seal(*fresh.stream, fresh.header.id, some_seal()).ok());
    // For longer than it is tried again; only in quarantine/, so that unlinking would work.
    fresh.filesystem.fail({.op = op, .times = 100, .code = EIO, .path_has = "quarantine"});
    CHECK(set_segment_aside(*fresh.stream, fresh.header.id, {.reason = "refused"}).error().code ==
          EIO);
    CHECK(fresh.there(segment_path(kDirectory, fresh.header.id)));
    CHECK(fresh.there(seal_path(kDirectory, fresh.header.id)));
  }
}
