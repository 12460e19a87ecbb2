// Which segments crashed the processes before this one.
#include "common/spool/crash_counts.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "common/platform/crash_marks.h"
#include "common/platform/posix_filesystem.h"
#include "fakes/fault_filesystem.h"
#include "scratch_directory.h"
#include "segment_builder.h"

using namespace sluice;

namespace {

struct Fixture {
  Fixture() {
    REQUIRE(filesystem.create_directories("/spool/xml").ok());
    REQUIRE(filesystem.create_directories("/spool/logs").ok());
    for (const SegmentId& id : {here, elsewhere}) {
      const Path file = segment_path(id == here ? Path("/spool/xml") : Path("/spool/logs"), id);
      REQUIRE(replace_file(filesystem, file, "a segment").ok());
    }
  }
  void write(const std::string& content) { REQUIRE(replace_file(filesystem, path, content).ok()); }
  CrashCounts read() {
    warnings.clear();
    return {filesystem, "/spool", warnings};
  }
  static std::string mark(const SegmentId& id, int signal = SIGSEGV) {
    const auto line = encode_crash_mark({signal, id, 1'700'000'000});
    return {line.data(), line.size()};
  }

  static constexpr SegmentId here{1, 5};
  static constexpr SegmentId elsewhere{1, 6};
  static constexpr SegmentId gone{2, 5};
  FaultFilesystem filesystem;
  Path path = crashes_path("/spool");
  std::vector<std::string> warnings;
};

}  // namespace

TEST_CASE_FIXTURE(
    Fixture, "p11_crashes_are_counted_by_segment_and_those_of_segments_that_are_gone_are_dropped") {
  write(mark(here) + mark(gone) + mark(elsewhere) + mark(here, SIGABRT));
  const CrashCounts counts = read();
  CHECK(counts.of(here).times == 2);
  CHECK(counts.of(here).signal == SIGABRT);
  CHECK(counts.of(elsewhere).times == 1);
  CHECK(counts.of(gone).times == 0);
  CHECK(warnings.empty());
  CHECK(read_file(filesystem, path, kMiB).value() ==
        mark(here) + mark(elsewhere) + mark(here, SIGABRT));
  // Back by hand, it begins anew.
  REQUIRE(replace_file(filesystem, segment_path("/spool/xml", gone), "a segment").ok());
  CHECK(read().of(gone).times == 0);
}

TEST_CASE_FIXTURE(Fixture, "p11_what_is_forgotten_is_so_for_its_segment_alone") {
  write(mark(here) + mark(elsewhere) + mark(here));
  REQUIRE(forget_crashes(filesystem, "/spool", here).ok());
  CHECK(read_file(filesystem, path, kMiB).value().size() == 3 * kCrashMarkBytes);
  const CrashCounts counts = read();
  CHECK(counts.of(here).times == 0);
  CHECK(counts.of(elsewhere).times == 1);
  CHECK(read_file(filesystem, path, kMiB).value() == mark(elsewhere));
}

TEST_CASE_FIXTURE(Fixture, "a_start_without_crashes_writes_nothing") {
  using Op = FaultFilesystem::Op;
  const auto writes = [&] { return filesystem.count(Op::write) + filesystem.count(Op::rename); };
  const auto before = writes();
  CHECK(read().of(here).times == 0);
  CHECK(writes() == before);
  write(mark(here));
  const auto written = writes();
  CHECK(read().of(here).times == 1);
  CHECK(writes() == written);
}

TEST_CASE_FIXTURE(Fixture,
                  "rubbish_in_the_file_of_crashes_counts_for_nothing_and_is_cleared_away") {
  write("rubbish\n" + mark(here) + mark(here).substr(0, 30));
  CHECK(read().of(here).times == 1);
  CHECK(read_file(filesystem, path, kMiB).value() == mark(here));
  write(std::string(2 * kMiB, 'x'));
  CHECK(read().of(here).times == 0);
  CHECK(warnings.size() == 1);
  CHECK(read_file(filesystem, path, kMiB).value().empty());
}

TEST_CASE("d8_what_is_no_file_in_place_of_the_file_of_crashes_is_replaced_or_said") {
  ScratchDirectory scratch;
  PosixFilesystem filesystem;
  const Path path = crashes_path(scratch.path());
  std::vector<std::string> warnings;
  REQUIRE(::symlink("FORMAT", path.c_str()) == 0);
  REQUIRE(replace_file(filesystem, scratch.path() / "FORMAT", "kept").ok());
  (void)CrashCounts(filesystem, scratch.path(), warnings);
  CHECK(warnings.size() == 1);
  CHECK(filesystem.info(path)->type == FileType::regular);
  CHECK(read_file(filesystem, scratch.path() / "FORMAT", 100).value() == "kept");

  REQUIRE(filesystem.unlink(path).ok());
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  (void)CrashCounts(filesystem, scratch.path(), warnings);
  CHECK(filesystem.info(path)->type == FileType::regular);

  REQUIRE(filesystem.unlink(path).ok());
  REQUIRE(filesystem.create_directories(path).ok());
  warnings.clear();
  (void)CrashCounts(filesystem, scratch.path(), warnings);
  CHECK(warnings.size() == 2);  // not read, not written
}

TEST_CASE_FIXTURE(Fixture, "a_disk_that_takes_no_file_of_crashes_refuses_no_start") {
  write(mark(here) + mark(gone));
  filesystem.fail({.op = FaultFilesystem::Op::write, .code = EIO, .path_has = "CRASHES"});
  CHECK(read().of(here).times == 1);
  CHECK(warnings.size() == 1);
}
