// Fail-the-nth for the log file: one life of a process over and over, each time with one more call
// to the disk that goes wrong, or after which the process or the machine dies.
#include <doctest/doctest.h>

#include <array>
#include <functional>
#include <random>

#include "log_rig.h"

namespace sluice {
namespace {

using Op = FaultFilesystem::Op;

constexpr int kGroups = 24;
constexpr int kTriesMax = 8;

struct World : LogRig {
  World() : LogRig({.bytes_max = 2500}) {}

  // Calls `step` again as Spool would, while the disk is no dead one.
  bool persist(const std::function<Status()>& step) {
    for (int tried = 0; tried < kTriesMax && !disk.powered_off(); ++tried) {
      if (log_file->complete_due() ? complete() : step()) {
        return true;
      }
      clock.advance(std::chrono::seconds(1));
    }
    return false;
  }

  // A process from its start on: groups of lines, switches of segments, rotations by size, and a
  // logrotate that renames. True if it got to its end.
  bool live(int groups = kGroups) {
    start();
    if (!persist([&] { return Status(); })) {
      return false;
    }
    for (int group = 0; group < groups; ++group) {
      const std::uint64_t first = next;
      std::string text;
      for (int i = 0; i <= group % 3; ++i) {
        text += record(static_cast<std::size_t>(group * 37 + i * 211) % 700);
      }
      if (!persist([&] { return log_file->append(first, text); })) {
        return false;
      }
      if (group % 3 == 2) {
        if (!persist([&] { return log_file->sync_and_note(next); })) {
          return false;
        }
        give_away();
      }
      if (group % 8 == 3) {
        (void)disk.rename(path, "/logs/server.log.ext" + std::to_string(lines.size())).ok();
      }
      if (group % 8 == 4) {
        (void)log_file->reopen().ok();
      }
      clock.advance(std::chrono::milliseconds(400));
    }
    return true;
  }
};

constexpr std::array kOps{
    std::pair(Op::open, "open"),         std::pair(Op::read, "read"),
    std::pair(Op::write, "write"),       std::pair(Op::sync, "sync"),
    std::pair(Op::truncate, "truncate"), std::pair(Op::list, "list"),
    std::pair(Op::info, "info"),         std::pair(Op::rename, "rename"),
    std::pair(Op::unlink, "unlink"),     std::pair(Op::sync_directory, "sync_directory")};

// Each call of each kind fails once more, until none is left to fail; then the next process
// completes, after a kill or a power cut.
void fail_each_call(const std::function<void(World&, Op, std::uint64_t)>& arm) {
  const std::uint64_t seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  for (const auto& entry : kOps) {
    const Op op = entry.first;
    const std::string name = entry.second;
    CAPTURE(name);
    bool met = true;
    for (std::uint64_t n = 0; met; ++n) {
      CAPTURE(n);
      for (const bool power_cut : {false, true}) {
        CAPTURE(power_cut);
        World world;
        arm(world, op, n);
        CHECK(world.live());
        met = world.disk.count(op) > n;
        world.disk.clear_faults();
        world.judge();
        power_cut ? world.disk.restart(random()) : world.disk.resume();
        CHECK(world.live(4));
        world.judge();
      }
    }
  }
}

TEST_CASE("d15_each_call_to_the_disk_fails_once_and_each_line_is_in_the_log_once") {
  fail_each_call([](World& world, Op op, std::uint64_t n) {
    world.disk.fail({.op = op, .after = n, .code = EIO});
  });
}

TEST_CASE("d15_each_call_and_the_two_behind_it_fail_and_each_line_is_in_the_log_once") {
  fail_each_call([](World& world, Op op, std::uint64_t n) {
    world.disk.fail({.op = op, .after = n, .times = 3, .code = EIO});
  });
}

TEST_CASE("d15_the_disk_is_full_at_each_call_and_each_line_is_in_the_log_once") {
  fail_each_call([](World& world, Op op, std::uint64_t n) {
    world.disk.fail({.op = op, .after = n, .times = 2, .code = ENOSPC});
  });
}

TEST_CASE("d15_each_write_is_short_and_the_next_finds_no_room") {
  fail_each_call([](World& world, Op op, std::uint64_t n) {
    if (op == Op::write) {
      world.disk.fail({.op = op, .after = n, .code = 0, .bytes = 9});
      world.disk.fail({.op = op, .after = n + 1, .code = ENOSPC});
      world.disk.fail({.op = Op::truncate, .after = n % 3, .code = EIO});
    }
  });
}

TEST_CASE("d15_each_call_fails_and_what_it_made_can_be_neither_removed_nor_renamed") {
  fail_each_call([](World& world, Op op, std::uint64_t n) {
    world.disk.fail({.op = op, .after = n, .times = 2, .code = EIO});
    world.disk.fail({.op = Op::unlink, .times = 2, .code = EIO, .path_has = "/logs/server.log"});
    world.disk.fail({.op = Op::rename, .times = n % 3, .code = EIO, .path_has = "/logs/server"});
  });
}

// Kills, or cuts the power of, one life at each of its calls; of the next one, which completes, at
// a random call; of some a third time.
void die_at_each_call(bool power_cut) {
  const std::uint64_t seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  std::uint64_t calls = 0;
  for (bool alive = false; !alive; ++calls) {
    CAPTURE(calls);
    for (int variant = 0; variant < 9; ++variant) {
      CAPTURE(variant);
      World world;
      world.disk.power_off_after(calls + 1);
      alive = world.live();
      for (int death = 0; death < variant % 3; ++death) {
        power_cut ? world.disk.restart(random()) : world.disk.resume();
        world.disk.power_off_after(1 + random() % 60);
        (void)world.live(2);
      }
      power_cut ? world.disk.restart(random()) : world.disk.resume();
      CHECK(world.live(5));
      world.judge();
      power_cut ? world.disk.restart(random()) : world.disk.resume();
      CHECK(world.live(0));
      world.judge();
    }
  }
  CHECK(calls > 200);
  MESSAGE(calls, " calls, seed ", seed);
}

TEST_CASE("p2_killed_at_any_call_each_line_is_in_the_log_once") { die_at_each_call(false); }

TEST_CASE("p3_whenever_the_power_goes_each_line_is_in_the_log_once") { die_at_each_call(true); }

}  // namespace
}  // namespace sluice
