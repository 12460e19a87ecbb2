// DiskWatch: the spool's use of the disk, and the reserve.
#include "common/spool/disk_watch.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include "fakes/fault_filesystem.h"
#include "test_clock.h"

using namespace sluice;

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
