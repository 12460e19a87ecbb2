#include "commands/rotate.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <fstream>

#include "common/platform/posix_filesystem.h"
#include "common/spool/segment_format.h"
#include "scratch_directory.h"

using namespace sluice;

namespace {

constexpr SegmentId kFirst{1, 0xaa};
constexpr SegmentId kSecond{2, 0xbb};

void put(const Path& path, const std::string& content) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << content;
}

}  // namespace

TEST_CASE("segments_that_are_only_a_header_are_not_waited_for") {
  const ScratchDirectory scratch;
  PosixFilesystem filesystem;
  put(scratch.path() / "xml" / ("seg-" + to_string(kFirst) + ".wal"),
      std::string(kRecordsBegin + 1, 'x'));
  put(scratch.path() / "xml" / ("seg-" + to_string(kSecond) + ".wal"),
      std::string(kRecordsBegin, 'x'));
  put(scratch.path() / "xml" / ("seg-" + to_string(kSecond) + ".seal"),
      std::string(kRecordsBegin + 1, 'x'));
  put(scratch.path() / "xml" / "other.wal", std::string(kRecordsBegin + 1, 'x'));
  const auto segments = segments_with_records(filesystem, scratch.path());
  REQUIRE(segments);
  CHECK(*segments == std::set<SegmentId>{kFirst});
}

TEST_CASE("segments_of_every_stream_that_was_served_are_waited_for") {
  const ScratchDirectory scratch;
  PosixFilesystem filesystem;
  const auto nothing = segments_with_records(filesystem, scratch.path());
  REQUIRE(nothing);
  CHECK(nothing->empty());
  put(scratch.path() / "logs" / ("seg-" + to_string(kSecond) + ".wal"),
      std::string(kRecordsBegin + 1, 'x'));
  CHECK(segments_with_records(filesystem, scratch.path()).value() == std::set<SegmentId>{kSecond});
  put(scratch.path() / "xml" / ("seg-" + to_string(kFirst) + ".wal"),
      std::string(kRecordsBegin + 1, 'x'));
  CHECK(segments_with_records(filesystem, scratch.path()).value() ==
        std::set<SegmentId>{kFirst, kSecond});
}

TEST_CASE("keys_come_from_the_newest_ledgers_and_torn_lines_are_left_for_later") {
  const ScratchDirectory scratch;
  PosixFilesystem filesystem;
  const auto line = [](const SegmentId& segment, std::uint64_t events) {
    LedgerEntry entry;
    entry.key = "xml-events/" + to_string(segment) + ".xml";
    entry.object = "data";
    entry.segment = segment;
    entry.events = events;
    return to_json(entry) + "\n";
  };
  put(scratch.path() / "ledger-2.jsonl", line(kFirst, 99));  // too old to be looked at
  put(scratch.path() / "ledger-8.jsonl", "");
  put(scratch.path() / "ledger-9.jsonl", line(kFirst, 1));
  put(scratch.path() / "ledger-10.jsonl",
      line({3, 0xcc}, 2) + line(kSecond, 3) + line(kFirst, 4).substr(0, 40));
  const auto objects = objects_of({kFirst, kSecond}, filesystem, scratch.path());
  REQUIRE(objects);
  REQUIRE(objects->size() == 2);
  CHECK((*objects)[0].events == 1);
  CHECK((*objects)[1].events == 3);
  CHECK((*objects)[1].segment == kSecond);
}

TEST_CASE("a_lock_file_left_behind_is_nobody") {
  const ScratchDirectory scratch;
  CHECK_FALSE(running_pid(scratch.path()));
  put(scratch.path() / "LOCK", "999999999\n");
  CHECK_FALSE(running_pid(scratch.path()));
  put(scratch.path() / "LOCK", "");
  CHECK_FALSE(running_pid(scratch.path()));
  // A live process, but no sluice: it must never be signalled.
  put(scratch.path() / "LOCK", std::to_string(::getpid()) + "\n");
  CHECK_FALSE(running_pid(scratch.path()));
}
