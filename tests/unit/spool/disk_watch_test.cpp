// DiskWatch: the spool's use of the disk, and the reserve.
#include "common/spool/disk_watch.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include "fakes/fault_filesystem.h"
#include "test_clock.h"

using namespace sluice;

namespace {

// A spool of two streams, whose folders hold so many bytes.
struct SharedSpool {
  SharedSpool() {
    SpoolDirectory::Options options;
    options.path = "/shared";
    options.owner = static_cast<std::uint32_t>(::geteuid());
    auto opened = SpoolDirectory::open(filesystem, clock, options);
    REQUIRE(std::holds_alternative<std::unique_ptr<SpoolDirectory>>(opened));
    spool = std::move(std::get<0>(opened));
    for (const Stream stream : {Stream::xml, Stream::logs}) {
      auto folder = spool->stream(stream, {});
      REQUIRE(folder);
      folders.push_back(std::move(*folder));
    }
  }
  void fill(Stream stream, std::uint64_t bytes) {
    const Path path = Path("/shared") / std::string(to_string(stream)) / "filled";
    auto file = filesystem.open(path, OpenMode::create_or_open);
    REQUIRE(file);
    REQUIRE((*file)->truncate(0).ok());
    const std::vector<std::byte> content(bytes);
    REQUIRE(write_all(**file, std::vector{std::span<const std::byte>(content)}, 0));
  }
  // How much a stream may take beside the other.
  std::uint64_t share_beside(Stream other) {
    DiskWatch watch(*spool, clock, conditions, pause, {.bytes_max = 30 * kMiB, .other = other});
    watch.look(0);
    used = watch.bytes_used();
    return watch.share_bytes();
  }

  FaultFilesystem filesystem;
  ManualClock clock;
  Conditions conditions;
  std::atomic<bool> pause{false};
  std::unique_ptr<SpoolDirectory> spool;
  std::vector<std::unique_ptr<StreamDirectory>> folders;
  std::uint64_t used = 0;
};

}  // namespace

TEST_CASE("a_stream_may_take_what_the_other_does_not_but_for_the_others_third") {
  SharedSpool shared;
  CHECK(shared.share_beside(Stream::logs) == 20 * kMiB);
  shared.fill(Stream::logs, 16 * kMiB);
  const std::uint64_t xml = shared.share_beside(Stream::logs);
  CHECK(xml <= 14 * kMiB);
  CHECK(xml >= 13 * kMiB);
  CHECK(shared.used < 2 * kMiB);  // not what the other takes
  CHECK(shared.share_beside(Stream::xml) == 20 * kMiB);
  CHECK(shared.used >= 16 * kMiB);
  shared.fill(Stream::xml, 2 * kMiB);
  CHECK(shared.share_beside(Stream::xml) == 20 * kMiB);
}

TEST_CASE("a_stream_has_its_third_whatever_the_other_took") {
  SharedSpool shared;
  shared.fill(Stream::logs, 28 * kMiB);
  CHECK(shared.share_beside(Stream::logs) == 10 * kMiB);
}

TEST_CASE("a_disk_without_room_for_the_reserve_is_not_written_full_at_each_turn") {
  FaultFilesystem filesystem;
  ManualClock clock;
  filesystem.set_capacity(256 * kKiB);
  SpoolDirectory::Options options;
  options.path = "/other";
  options.owner = static_cast<std::uint32_t>(::geteuid());
  auto opened = SpoolDirectory::open(filesystem, clock, options);
  REQUIRE(std::holds_alternative<std::unique_ptr<SpoolDirectory>>(opened));
  Conditions conditions;
  std::atomic<bool> pause{false};
  DiskWatch watch(*std::get<0>(opened), clock, conditions, pause, {});
  const std::string name = "RESERVE";
  const std::uint64_t before = filesystem.count(FaultFilesystem::Op::open, name);
  for (int turn = 0; turn < 100; ++turn) {
    watch.look(0);
    clock.advance(std::chrono::milliseconds(50));
  }
  CHECK(filesystem.count(FaultFilesystem::Op::open, name) == before + 1);
  filesystem.set_capacity(std::nullopt);
  clock.advance(std::chrono::seconds(10));
  watch.look(0);
  watch.look(0);
  CHECK(filesystem.count(FaultFilesystem::Op::open, name) == before + 2);
  CHECK(filesystem.info("/other/RESERVE")->bytes == kMiB);
}

TEST_CASE("d13_between_the_watermarks_reading_stays_stopped_and_goes_on_as_it_was") {
  SharedSpool shared;
  DiskWatch watch(
      *shared.spool, shared.clock, shared.conditions, shared.pause,
      {.bytes_max = 20 * kMiB, .other = {}});  // 16 MiB are low, 19 MiB high; a reserve is in it
  const auto stopped_with = [&](std::uint64_t mebibytes) {
    shared.fill(Stream::xml, mebibytes * kMiB);
    shared.clock.advance(std::chrono::seconds(1));
    watch.look(0);
    CHECK(shared.conditions.ready() == !shared.pause.load());
    return shared.pause.load();
  };
  CHECK_FALSE(stopped_with(16));
  CHECK(stopped_with(19));
  CHECK(stopped_with(16));
  CHECK_FALSE(stopped_with(10));
  CHECK_FALSE(stopped_with(16));
}
