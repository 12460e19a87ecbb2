#include "common/ndjson/log_completion.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "common/base/buffer.h"
#include "fakes/fault_filesystem.h"

namespace sluice {
namespace {

const Path kPath = "/logs/server.log";

struct Completed {
  std::string content;
  std::uint64_t found = 0;
  std::uint64_t written = 0;
  std::uint64_t other = 0;
};

Completed complete(const std::string& content, const std::vector<std::string>& lines,
                   std::uint64_t begin = 0) {
  FaultFilesystem disk;
  REQUIRE(disk.create_directories("/logs"));
  auto file = disk.open(kPath, OpenMode::create_new);
  REQUIRE(file);
  REQUIRE(write_all(**file, as_bytes(content), 0));
  LogCompletion completion(**file, begin, content.size());
  for (const std::string& line : lines) {
    REQUIRE(completion.take(line));
  }
  REQUIRE(completion.finish());
  auto result = read_file(disk, kPath, 64 * kMiB);
  REQUIRE(result);
  return {*result, completion.lines_found(), completion.lines_written(), completion.other_bytes()};
}

const std::vector<std::string> kLines{"10 one\n", "11 two\n", "12 three\n"};
const std::string kAll = "10 one\n11 two\n12 three\n";

TEST_CASE("wherever_the_file_ends_its_lines_stay_and_the_missing_ones_are_written") {
  for (std::size_t kept = 0; kept <= kAll.size(); ++kept) {
    CAPTURE(kept);
    const Completed done = complete(kAll.substr(0, kept), kLines);
    CHECK(done.content == kAll);
    CHECK(done.other == 0);
    CHECK(done.found + done.written == 3);
  }
}

TEST_CASE("wherever_a_power_cut_left_zeros_the_line_is_written_over_itself") {
  for (std::size_t begin = 0; begin < kAll.size(); ++begin) {
    for (std::size_t end = begin + 1; end <= kAll.size() + 4; ++end) {
      CAPTURE(begin);
      CAPTURE(end);
      std::string torn = kAll;
      torn.resize(std::max(end, torn.size()));
      std::fill(torn.begin() + static_cast<std::ptrdiff_t>(begin),
                torn.begin() + static_cast<std::ptrdiff_t>(end), '\0');
      const Completed done = complete(torn, kLines);
      CHECK(done.content == kAll);
      CHECK(done.other == 0);
    }
  }
}

TEST_CASE("text_of_others_stays_and_our_lines_are_found_around_it") {
  const Completed between = complete("10 one\n1 other\n11 two\n12 three\n", kLines);
  CHECK(between.content == "10 one\n1 other\n11 two\n12 three\n");
  CHECK(between.other == 8);
  CHECK(between.written == 0);

  const Completed behind = complete("10 one\n11 two\nother", kLines);
  CHECK(behind.content == "10 one\n11 two\nother\n12 three\n");
  CHECK(behind.other == 5);

  const Completed in_a_torn_line = complete("10 one\n11 tother\n", kLines);
  CHECK(in_a_torn_line.content == "10 one\n11 tother\n11 two\n12 three\n");

  const Completed after_all = complete(kAll + "other\n" + std::string(2, '\0'), kLines);
  CHECK(after_all.content == kAll + "other\n");
}

TEST_CASE("other_text_and_zeros_together_leave_each_line_of_ours_once") {
  std::string torn = "other\n" + kAll + "more";
  for (std::size_t at = 6; at < 6 + kAll.size(); ++at) {
    CAPTURE(at);
    std::string content = torn;
    content[at] = '\0';
    CHECK(complete(content, kLines).content == torn);
  }
}

TEST_CASE("lines_whose_records_were_damaged_in_the_spool_stay") {
  const Completed done = complete(kAll, {kLines[0], kLines[2]});
  CHECK(done.content == kAll);
  CHECK(done.found == 2);
  CHECK(done.written == 0);
}

TEST_CASE("equal_lines_are_there_as_often_as_the_spool_has_them") {
  CHECK(complete("x\n", {"x\n", "x\n", "x\n"}).content == "x\nx\nx\n");
  CHECK(complete("x\nx\nx\n", {"x\n", "x\n", "x\n"}).content == "x\nx\nx\n");
}

TEST_CASE("what_is_before_the_position_is_left_alone") {
  CHECK(complete("10 one\n", {kLines[0]}, 7).content == "10 one\n10 one\n");
}

TEST_CASE("lines_longer_and_files_larger_than_what_is_read_at_once_are_completed") {
  const std::uint64_t seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  std::vector<std::string> lines;
  std::string all;
  for (int i = 0; i < 40; ++i) {
    const std::size_t bytes = i % 5 == 0 ? 300'000 + random() % 400'000 : 1 + random() % 200;
    lines.push_back(std::string(bytes, static_cast<char>('a' + i % 26)) + '\n');
    all += lines.back();
  }
  for (int round = 0; round < 20; ++round) {
    CAPTURE(round);
    std::string content = all.substr(0, random() % (all.size() + 1));
    for (int hole = 0; hole < 3 && !content.empty(); ++hole) {
      const std::size_t begin = random() % content.size();
      std::fill_n(content.begin() + static_cast<std::ptrdiff_t>(begin),
                  std::min<std::size_t>(random() % 100'000, content.size() - begin), '\0');
    }
    CHECK(complete(content, lines).content == all);
  }
}

TEST_CASE("each_call_to_the_disk_that_fails_is_told_and_another_turn_completes") {
  const std::string content = "10 one\nother";
  for (const auto op : {FaultFilesystem::Op::read, FaultFilesystem::Op::write,
                        FaultFilesystem::Op::sync, FaultFilesystem::Op::truncate}) {
    for (std::uint64_t after = 0; after < 8; ++after) {
      CAPTURE(after);
      FaultFilesystem disk;
      REQUIRE(disk.create_directories("/logs"));
      auto file = disk.open(kPath, OpenMode::create_new);
      REQUIRE(write_all(**file, as_bytes(content), 0));
      disk.fail({.op = op, .after = after, .code = EIO});
      for (int turn = 0; turn < 2; ++turn) {
        const auto size = (*file)->info()->bytes;
        LogCompletion completion(**file, 0, size);
        Status status;
        for (std::size_t i = 0; status && i < kLines.size(); ++i) {
          status = completion.take(kLines[i]);
        }
        if (status) {
          status = completion.finish();
        }
        disk.clear_faults();
        if (turn == 1) {
          CHECK(status);
        }
      }
      auto result = read_file(disk, kPath, kMiB);
      REQUIRE(result);
      CHECK(*result == "10 one\nother\n11 two\n12 three\n");
    }
  }
}

}  // namespace
}  // namespace sluice
