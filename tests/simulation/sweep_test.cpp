// Fail-the-nth: one process from its start to its end, over and over, each time with one more call
// to the disk or to the store that goes wrong, until no such call is left. After each the next
// process drains in fine weather, and what the senders saw is held against what the store has.
#include <doctest/doctest.h>

#include <array>
#include <functional>

#include "commands/books_page.h"
#include "common/log/log.h"
#include "simulation/sim_judge.h"
#include "simulation/sim_process.h"

using namespace sluice;
using namespace sluice::simulation;
using Op = FaultFilesystem::Op;

namespace {

constexpr int kRounds = 120;  // before the first process is told to end

struct Sweep {
  explicit Sweep(Stream stream = Stream::xml)
      : remote(random, clock, trace,
               {.conditional_put = true,
                .conditions_proven = true,
                .metadata = true,
                .signs_payload = true}),
        documents(random, stream) {
    log::set_level(log::Level::error);
    remote.clear_up();
    settings.stream = stream;
    settings.segment.format = stream == Stream::xml ? OutputFormat::xml : OutputFormat::jsonl;
    settings.log.bytes_max = 8000;
    settings.segment.block_bytes = 2048;
    settings.segment.destination = "s3://sweep";
    settings.segment.prefix = "events/";
    settings.segment.quarantine_prefix = "quarantine/";
    settings.spooler.segment_run_bytes = 6000;
    settings.spooler.segment_age = std::chrono::seconds(2);
    settings.rotator.disk.interval = std::chrono::seconds(5);  // or most calls would be its lists
    settings.upload.part_bytes = 4000;
  }

  SimProcess::World world() {
    return {.host = 0,
            .disk = disk,
            .clock = clock,
            .remote = remote,
            .random = random,
            .trace = trace,
            .documents = documents};
  }

  // Until it ends, fails, or the disk says that it is dead; or it is not told to end.
  enum class Ending : std::uint8_t { drain, none };
  void first_life(Ending ending) {
    SimProcess process(world(), settings);
    if (!process.refusal().empty()) {
      return;
    }
    for (int round = 0; round < kRounds && !disk.powered_off() && !process.failed(); ++round) {
      if (round % 6 == 0) {
        process.connect();
      }
      process.read_some();
      process.read_some();
      (void)process.turn_all();
      clock.advance(std::chrono::milliseconds(100));
    }
    if (ending == Ending::none) {
      return;
    }
    process.begin_drain();
    for (int round = 0; round < 3000 && !disk.powered_off() && !process.failed(); ++round) {
      if (process.ended()) {
        return;
      }
      (void)process.turn_all();
      clock.advance(std::chrono::milliseconds(100));
    }
  }

  void second_life() {
    SimProcess process(world(), settings);
    REQUIRE_MESSAGE(process.refusal().empty(), process.refusal());
    CHECK(drain(process, clock) == Drained::ended);
    const BooksDifference difference = difference_of(process.books());
    CHECK(difference.bytes == 0);
    CHECK(difference.pieces == 0);
    CHECK(process.books().pieces_in_spool.load() == 0);
  }

  void judge_all() {
    for (const std::string& complaint :
         judge(remote, {&disk}, documents, settings.segment, true, counts)) {
      FAIL_CHECK(complaint);
    }
  }

  ManualClock clock;
  SimRandom random{7};
  SimTrace trace{clock, false};
  RemoteStore remote;
  Documents documents;
  FaultFilesystem disk;
  SimSettings settings;
  std::map<std::string, std::uint64_t> counts;
};

// n = 0, 1, … for as long as `arm`ed fault n is met; how many that were.
std::uint64_t sweep(const std::function<void(Sweep&, std::uint64_t)>& arm,
                    const std::function<bool(Sweep&, std::uint64_t)>& met,
                    const std::function<void(Sweep&)>& between,
                    Sweep::Ending ending = Sweep::Ending::drain, Stream stream = Stream::xml) {
  std::uint64_t acknowledged = 0;
  for (std::uint64_t n = 0;; ++n) {
    CAPTURE(n);
    Sweep world(stream);
    arm(world, n);
    world.first_life(ending);
    if (!met(world, n)) {
      CHECK(world.documents.all().size() > 20);
      MESSAGE(n, " lives, ", acknowledged, " documents acknowledged");
      return n;
    }
    between(world);
    world.second_life();
    world.judge_all();
    acknowledged += world.counts["acked"];
  }
}

constexpr std::array kOps{
    std::pair(Op::open, "open"),         std::pair(Op::read, "read"),
    std::pair(Op::write, "write"),       std::pair(Op::sync, "sync"),
    std::pair(Op::allocate, "allocate"), std::pair(Op::truncate, "truncate"),
    std::pair(Op::list, "list"),         std::pair(Op::info, "info"),
    std::pair(Op::rename, "rename"),     std::pair(Op::link, "link"),
    std::pair(Op::unlink, "unlink"),     std::pair(Op::sync_directory, "sync_directory")};

void fail_each_call(int code, std::uint64_t times, Stream stream = Stream::xml) {
  for (const auto& entry : kOps) {
    const Op op = entry.first;
    const std::string name = entry.second;
    CAPTURE(name);
    const std::uint64_t calls = sweep(
        [&](Sweep& world, std::uint64_t n) {
          world.disk.fail({.op = op, .after = n, .times = times, .code = code});
        },
        [&](Sweep& world, std::uint64_t n) { return world.disk.count(op) > n; },
        [](Sweep& world) {
          world.disk.clear_faults();
          world.disk.resume();
        },
        Sweep::Ending::drain, stream);
    MESSAGE("calls of ", name, " that failed: ", calls);
    // Nothing is linked in a life without segments to set aside.
    CHECK((calls > 0 || op == Op::link));
  }
}

}  // namespace

TEST_CASE("d2_each_call_to_the_disk_fails_once_with_an_input_output_error") {
  fail_each_call(EIO, 1);
}

TEST_CASE("d2_each_call_to_the_disk_and_the_two_behind_it_fail") { fail_each_call(EIO, 3); }

// Of logs, with the log file in between: every line that was answered is in the store and in the
// log file, once.
TEST_CASE("d2_logs_each_call_to_the_disk_fails_once_with_an_input_output_error") {
  fail_each_call(EIO, 1, Stream::logs);
}

TEST_CASE("d1_logs_each_call_to_the_disk_finds_it_full_once") {
  fail_each_call(ENOSPC, 1, Stream::logs);
}

TEST_CASE("d1_each_call_to_the_disk_finds_it_full_once") { fail_each_call(ENOSPC, 1); }

// All is in the spool yet when the power goes, and what the failed sync forgot is gone.
TEST_CASE("d3_d16_each_sync_fails_once_and_the_power_goes_later") {
  for (const Op op : {Op::sync, Op::sync_directory}) {
    std::uint64_t seed = 0;
    const std::uint64_t calls = sweep(
        [op](Sweep& world, std::uint64_t n) {
          world.remote.silent = true;
          world.disk.fail({.op = op, .after = n, .times = 1, .code = EIO});
        },
        [op](Sweep& world, std::uint64_t n) { return world.disk.count(op) > n; },
        [&](Sweep& world) {
          world.remote.silent = false;
          world.disk.restart(++seed);
        },
        Sweep::Ending::none);
    CHECK(calls > 10);
  }
}

TEST_CASE("d4_each_write_is_short") {
  const std::uint64_t calls = sweep(
      [](Sweep& world, std::uint64_t n) {
        world.disk.fail({.op = Op::write, .after = n, .times = 1, .code = 0, .bytes = 3});
      },
      [](Sweep& world, std::uint64_t n) { return world.disk.count(Op::write) > n; },
      [](Sweep& world) { world.disk.resume(); });
  CHECK(calls > 20);
}

TEST_CASE("p3_the_power_goes_at_each_call_to_the_disk") {
  std::uint64_t seed = 0;
  const std::uint64_t calls =
      sweep([](Sweep& world, std::uint64_t n) { world.disk.power_off_after(n + 1); },
            [](Sweep& world, std::uint64_t /*n*/) { return world.disk.powered_off(); },
            [&](Sweep& world) { world.disk.restart(++seed); });
  MESSAGE("calls at which the power went: ", calls);
  CHECK(calls > 200);
}

TEST_CASE("p2_the_process_is_killed_at_each_call_to_the_disk") {
  const std::uint64_t calls =
      sweep([](Sweep& world, std::uint64_t n) { world.disk.power_off_after(n + 1); },
            [](Sweep& world, std::uint64_t /*n*/) { return world.disk.powered_off(); },
            [](Sweep& world) { world.disk.resume(); });
  MESSAGE("calls at which it was killed: ", calls);
  CHECK(calls > 200);
}

TEST_CASE("p2_p3_logs_the_power_goes_or_the_process_is_killed_at_each_call_to_the_disk") {
  for (const bool power : {true, false}) {
    std::uint64_t seed = 0;
    const std::uint64_t calls =
        sweep([](Sweep& world, std::uint64_t n) { world.disk.power_off_after(n + 1); },
              [](Sweep& world, std::uint64_t /*n*/) { return world.disk.powered_off(); },
              [&](Sweep& world) { power ? world.disk.restart(++seed) : world.disk.resume(); },
              Sweep::Ending::drain, Stream::logs);
    CHECK(calls > 200);
  }
}

// Each class of answer (DESIGN of S3 errors in docs/architecture.md) to each request.
TEST_CASE("s11_each_request_to_the_store_fails_once_with_each_class_of_error") {
  struct Answer {
    StoreError error;
    bool carried_out = false;
  };
  const std::array answers{
      Answer{{.kind = StoreErrorKind::retry, .http_status = 500, .code = "InternalError"}, false},
      Answer{{.kind = StoreErrorKind::retry, .code = "Timeout"}, true},
      Answer{{.kind = StoreErrorKind::retry, .http_status = 200, .code = "ChecksumMismatch"}, true},
      Answer{{.kind = StoreErrorKind::retry, .http_status = 400, .code = "BadDigest"}, false},
      Answer{{.kind = StoreErrorKind::refresh_credentials, .code = "ExpiredToken"}, false},
      Answer{{.kind = StoreErrorKind::clock_skew, .code = "RequestTimeTooSkewed"}, false},
      Answer{{.kind = StoreErrorKind::configuration, .http_status = 403, .code = "AccessDenied"},
             false},
      Answer{{.kind = StoreErrorKind::this_object, .http_status = 400, .code = "InvalidArgument"},
             false},
      Answer{{.kind = StoreErrorKind::conflict, .http_status = 409, .code = "OperationAborted"},
             false},
      Answer{{.kind = StoreErrorKind::upload_lost, .http_status = 404, .code = "NoSuchUpload"},
             false},
  };
  for (const Answer& answer : answers) {
    CAPTURE(answer.error.code);
    const std::uint64_t requests = sweep(
        [&](Sweep& world, std::uint64_t n) {
          world.remote.planned = {
              .request = n + 1, .error = answer.error, .carried_out = answer.carried_out};
        },
        [](Sweep& world, std::uint64_t n) { return world.remote.counts.requests > n; },
        [](Sweep& world) { world.disk.resume(); });
    MESSAGE(answer.error.code, " as the answer to each of ", requests, " requests");
    CHECK(requests > 20);
  }
}
