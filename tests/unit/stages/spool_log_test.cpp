// Spool with a log file: no reply before the line is in the spool and in the file, each line once,
// whatever fails and wherever the process dies. docs/decisions/log-file-position.md.
#include "stages/spool_log.h"

#include <doctest/doctest.h>

#include "common/log/log.h"
#include "common/ndjson/log_line.h"
#include "spool_rig.h"

using namespace sluice;
using Op = FaultFilesystem::Op;

namespace {

constexpr auto kRetry = std::chrono::seconds(1);
const Path kLog = "/logs/server.log";
const char* const kInTheSpool = ".wal";
const char* const kInTheFile = "server.log";

SpoolRig::Options with_log() {
  sluice::log::set_level(sluice::log::Level::error);
  SpoolRig::Options options;
  options.log_file = LogFile::Options{.path = kLog};
  return options;
}

std::string event(int number) {
  return R"({"level":"INFO","message":"line )" + std::to_string(number) + R"("})";
}

// A batch of lines that are kept, as LogFramer sends it.
Batch lines(SpoolRig& rig, const ConnectionPtr& connection, const std::vector<int>& numbers) {
  std::vector<std::string> events;
  events.reserve(numbers.size());
  for (const int number : numbers) {
    events.push_back(event(number));
  }
  Batch batch = rig.batch(connection, events);
  batch.replies.assign(numbers.size(), static_cast<char>(LogVerdict::received));
  return batch;
}

// The numbers in the log file, in its order; -1 for what is no line of ours.
std::vector<int> logged(SpoolWorld& world) {
  auto text = read_file(world.filesystem, kLog, kMiB);
  REQUIRE(text);
  std::vector<int> numbers;
  for (std::string_view rest = *text; !rest.empty();) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    const std::size_t at = line.find(" [INFO] line ");
    numbers.push_back(at == std::string_view::npos ? -1
                                                   : std::stoi(std::string(line.substr(at + 13))));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return numbers;
}

using Numbers = std::vector<int>;

}  // namespace

TEST_CASE("d15_no_line_is_answered_before_the_log_file_has_it_and_it_has_it_once") {
  SpoolWorld world;
  SpoolRig rig(world, with_log());
  REQUIRE(rig.failure.empty());
  auto connection = rig.connect();
  world.filesystem.fail({.op = Op::write, .times = 2, .code = ENOSPC, .path_has = kInTheFile});
  REQUIRE(rig.give(lines(rig, connection, {1, 2})).ok());
  CHECK(rig.replies.empty());
  CHECK(rig.books.events_durable.load() == 2);
  CHECK_FALSE(rig.spooler->wants_input());
  world.clock.advance(kRetry);
  REQUIRE(rig.idle().ok());
  CHECK(rig.replies.empty());
  world.clock.advance(kRetry);
  REQUIRE(rig.idle().ok());
  REQUIRE(rig.replies.size() == 1);
  CHECK(rig.replies[0].durable);
  CHECK(rig.replies[0].bytes == std::string(2, static_cast<char>(LogVerdict::received)));
  CHECK(rig.spooler->wants_input());
  CHECK(rig.books.events_durable.load() == 2);
  CHECK(logged(world) == Numbers{1, 2});
}

TEST_CASE("d2_no_line_is_answered_or_logged_before_the_spool_has_it") {
  SpoolWorld world;
  SpoolRig rig(world, with_log());
  REQUIRE(rig.failure.empty());
  auto connection = rig.connect();
  world.filesystem.fail({.op = Op::sync, .times = 2, .code = EIO, .path_has = kInTheSpool});
  REQUIRE(rig.give(lines(rig, connection, {1})).ok());
  CHECK(rig.replies.empty());
  CHECK(logged(world).empty());
  world.clock.advance(kRetry);
  REQUIRE(rig.idle().ok());
  CHECK(rig.replies.size() == 1);
  CHECK(logged(world) == Numbers{1});
}

TEST_CASE("d2_a_segment_goes_to_egress_only_once_its_lines_are_durable_in_the_log_file") {
  SpoolWorld world;
  SpoolRig rig(world, with_log());
  REQUIRE(rig.failure.empty());
  auto connection = rig.connect();
  REQUIRE(rig.give(lines(rig, connection, {1, 2, 3})).ok());
  // The file's pages are lost with the sync that fails: it is made again from the spool.
  world.filesystem.fail({.op = Op::sync, .code = EIO, .path_has = kInTheFile});
  REQUIRE(rig.give(SealNow{}).ok());
  CHECK(rig.handed_over.empty());
  world.clock.advance(kRetry);
  REQUIRE(rig.idle().ok());
  CHECK(rig.handed_over.size() == 1);
  world.filesystem.power_off_after(0);
  world.filesystem.restart(1);
  CHECK(logged(world) == Numbers{1, 2, 3});
}

TEST_CASE("p2_what_a_kill_kept_from_the_log_file_is_there_after_the_next_start") {
  for (const bool switched_before : {false, true}) {
    CAPTURE(switched_before);
    SpoolWorld world;
    {
      SpoolRig rig(world, with_log());
      REQUIRE(rig.failure.empty());
      auto connection = rig.connect();
      REQUIRE(rig.give(lines(rig, connection, {1})).ok());
      if (switched_before) {
        REQUIRE(rig.give(SealNow{}).ok());
      }
      REQUIRE(rig.give(lines(rig, connection, {2})).ok());
      world.filesystem.fail({.op = Op::write, .code = EIO, .path_has = kInTheFile});
      REQUIRE(rig.give(lines(rig, connection, {3})).ok());
      CHECK(rig.replies.size() == 2);
    }
    CHECK(logged(world) == Numbers{1, 2});
    SpoolRig rig(world, with_log());
    REQUIRE(rig.failure.empty());
    CHECK(logged(world) == Numbers{1, 2, 3});
    auto connection = rig.connect();
    REQUIRE(rig.give(lines(rig, connection, {4})).ok());
    CHECK(logged(world) == Numbers{1, 2, 3, 4});
  }
}

TEST_CASE("p3_what_a_power_cut_takes_from_the_log_file_is_there_after_the_next_start") {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    CAPTURE(seed);
    SpoolWorld world;
    {
      SpoolRig rig(world, with_log());
      REQUIRE(rig.failure.empty());
      auto connection = rig.connect();
      for (int number = 1; number <= 5; ++number) {
        REQUIRE(rig.give(lines(rig, connection, {number})).ok());
      }
      CHECK(rig.replies.size() == 5);
      world.filesystem.power_off_after(0);
    }
    world.filesystem.restart(seed);
    SpoolRig rig(world, with_log());
    REQUIRE(rig.failure.empty());
    CHECK(logged(world) == Numbers{1, 2, 3, 4, 5});
  }
}

TEST_CASE("p2_p3_wherever_the_process_dies_each_line_is_logged_once_and_what_was_answered_is") {
  for (const bool power : {false, true}) {
    for (std::uint64_t calls = 0;; ++calls) {
      CAPTURE(power);
      CAPTURE(calls);
      SpoolWorld world;
      std::size_t answered = 0;
      bool died = false;
      {
        SpoolRig first(world, with_log());
        REQUIRE(first.failure.empty());
        auto connection = first.connect();
        REQUIRE(first.give(lines(first, connection, {1})).ok());
        answered = first.replies.size();
      }
      {
        world.filesystem.power_off_after(calls);
        SpoolRig rig(world, with_log());
        if (rig.failure.empty()) {
          auto connection = rig.connect();
          for (int number = 2; number <= 5; ++number) {
            (void)rig.give(lines(rig, connection, {number})).ok();
            if (number == 3) {
              (void)rig.give(SealNow{}).ok();
            }
          }
          answered += rig.replies.size();
        }
        died = world.filesystem.powered_off();
      }
      if (!died) {
        break;
      }
      if (power) {
        world.filesystem.restart(calls);
      } else {
        world.filesystem.resume();
      }
      SpoolRig rig(world, with_log());
      REQUIRE(rig.failure.empty());
      const Numbers numbers = logged(world);
      REQUIRE(numbers.size() >= answered);
      for (std::size_t i = 0; i < numbers.size(); ++i) {
        CHECK(numbers[i] == static_cast<int>(i) + 1);
      }
    }
  }
}

TEST_CASE("lines_that_no_log_file_was_kept_for_are_in_it_before_their_segment_is_unlinked") {
  SpoolWorld world;
  SpoolRig::Options options = with_log();
  {
    // ENABLE_LOG_PERSISTENCE=false, and the store takes nothing.
    options.keeps_log = false;
    SpoolRig rig(world, options);
    REQUIRE(rig.failure.empty());
    auto connection = rig.connect();
    REQUIRE(rig.give(lines(rig, connection, {1, 2})).ok());
    REQUIRE(rig.give(SealNow{}).ok());
    REQUIRE(rig.give(lines(rig, connection, {3})).ok());
    CHECK(rig.replies.size() == 2);
  }
  // LOGS_UPLOAD=false, and ENABLE_LOG_PERSISTENCE=true.
  options.keeps_log = true;
  options.rotator.keeps_locally = true;
  SpoolRig rig(world, options);
  REQUIRE(rig.failure.empty());
  REQUIRE(rig.egress().ok());
  CHECK(rig.books.pieces_kept_locally.load() == 3);
  CHECK(logged(world) == Numbers{1, 2, 3});
}
