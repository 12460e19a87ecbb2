#include "common/ndjson/line_framer.h"

#include <doctest/doctest.h>

#include <chrono>
#include <numeric>
#include <random>
#include <string>

#include "line_framing.h"

using namespace sluice;  // NOLINT

namespace {

using Lines = std::vector<std::string>;

Lines lines_of(std::string_view text, std::uint64_t line_bytes_max = kMiB) {
  return test::describe_lines(text, test::frame_lines(text, line_bytes_max));
}

// What the rules say, line by line, of a stream that is all there.
Lines expected_lines(std::string_view text, std::size_t line_bytes_max) {
  constexpr std::string_view kSpace = " \t\r\v\f";
  Lines lines;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    line.remove_prefix(std::min(line.find_first_not_of(kSpace), line.size()));
    if (line.empty()) {
      continue;
    }
    const std::size_t length = line.find_last_not_of(kSpace) + 1;
    if (length > line_bytes_max || line.size() > line_bytes_max + 1) {
      lines.push_back("R:" + std::to_string(line.size()));
    } else {
      lines.emplace_back(line.substr(0, length));
    }
  }
  return lines;
}

}  // namespace

TEST_CASE("j1_crlf_and_white_space_are_stripped_and_blank_lines_are_none") {
  CHECK(lines_of("a\r\n\r\n \t b c \n\n\nd\n") == Lines{"a", "b c", "d"});
  CHECK(lines_of("").empty());
  CHECK(lines_of("\n\r\n \v\f\n").empty());
  CHECK(lines_of("a\rb\n") == Lines{"a\rb"});
  CHECK(lines_of(std::string_view("\0\n", 2)) == Lines{std::string("\0", 1)});
}

TEST_CASE("j1_a_last_line_without_lf_is_a_line") {
  CHECK(lines_of("a\nb") == Lines{"a", "b"});
  CHECK(lines_of("a\nb \r") == Lines{"a", "b"});
  CHECK(lines_of("a\n ") == Lines{"a"});
}

TEST_CASE("j2_a_line_of_exactly_the_maximum_is_accepted_and_one_more_byte_is_not") {
  CHECK(lines_of("12345\r\n\n123456\n1\n", 5) == Lines{"12345", "R:6", "1"});
  CHECK(lines_of("12345\n 12345 \n", 5) == Lines{"12345", "12345"});
  CHECK(lines_of("123456", 5) == Lines{"R:6"});
  // White space behind a line has to end, too.
  CHECK(lines_of("1    \r\n", 5) == Lines{"1"});
  CHECK(lines_of("1     \r\n2", 5) == Lines{"R:7", "2"});
}

TEST_CASE("j2_an_endless_line_is_refused_once_in_constant_memory") {
  LineFramer framer(kMiB);
  const std::string part(64 * kKiB, 'x');
  std::vector<Cut> cuts;
  std::uint64_t refused_bytes = 0;
  std::uint64_t answers = 0;
  const auto feed = [&](std::string_view bytes) {
    cuts.clear();
    framer.scan(as_bytes(bytes), cuts);
    for (const Cut& cut : cuts) {
      REQUIRE(cut.refused);
      CHECK(cut.reason == CutReason::event_too_long);
      refused_bytes += cut.length;
      answers += cut.continues ? 0 : 1;
    }
  };
  for (std::uint64_t sent = 0; sent < kGiB / 4; sent += part.size()) {
    feed(part);
    REQUIRE(framer.position() - framer.hold_from() <= kMiB + 1);
    REQUIRE(framer.position() > framer.hold_from());  // a line is still under way
  }
  CHECK(answers == 0);
  CHECK(refused_bytes == kGiB / 4 - 1);
  feed("\n");
  CHECK(answers == 1);
  CHECK(refused_bytes == kGiB / 4);
  CHECK(framer.hold_from() == framer.position());
}

TEST_CASE("j2_a_line_that_is_refused_at_the_end_of_the_connection_is_answered_once") {
  LineFramer framer(4);
  std::vector<Cut> cuts;
  framer.scan(as_bytes(std::string_view("123456789")), cuts);
  REQUIRE(cuts.size() == 1);
  CHECK(cuts[0].continues);
  CHECK(framer.finish(cuts));
  REQUIRE(cuts.size() == 2);
  CHECK(!cuts[1].continues);
  CHECK(cuts[0].length + cuts[1].length == 9);
}

TEST_CASE("j1_j2_any_cut_of_any_stream_gives_the_same_lines") {
  const auto seed =
      static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
  MESSAGE("seed " << seed);
  std::mt19937_64 random(seed);
  constexpr std::string_view kBytes = "ab{}\"\n\n\n\r  \t";
  for (int round = 0; round < 20000; ++round) {
    std::string text;
    for (std::size_t length = random() % 80; text.size() < length;) {
      text.append(random() % 6 == 0 ? random() % 12 : 1, kBytes[random() % kBytes.size()]);
    }
    const std::uint64_t line_bytes_max = 1 + random() % 12;
    const test::FramedLines whole = test::frame_lines(text, line_bytes_max);
    CAPTURE(text);
    REQUIRE(test::describe_lines(text, whole) == expected_lines(text, line_bytes_max));
    for (int way = 0; way < 4; ++way) {
      std::vector<std::size_t> ends;
      for (std::size_t end = 0; end < text.size();) {
        end = std::min<std::size_t>(text.size(), end + 1 + random() % (way == 0 ? 1 : 20));
        ends.push_back(end);
      }
      const test::FramedLines parts = test::frame_lines(text, ends, line_bytes_max);
      REQUIRE(parts.cuts == whole.cuts);
      REQUIRE(parts.held_most <= line_bytes_max + 1);
    }
  }
}
