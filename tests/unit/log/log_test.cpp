#include "common/log/log.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <vector>

#include "common/log/line_limiter.h"
#include "common/log/log_format.h"
#include "scratch_directory.h"

using namespace sluice;

namespace {

const WallTime kTime = WallTime(std::chrono::milliseconds(1795252447123));

std::string text_of(std::string_view value) {
  const std::vector<log::Field> fields{{"v", value}};
  const std::string line = log::format_text(kTime, log::Level::info, "x", fields);
  return line.substr(line.find("v=") + 2);
}

// The lines that `write` puts on stderr.
template <class Write>
std::vector<std::string> captured(Write write) {
  const ScratchDirectory scratch;
  const std::string path = scratch.path() / "stderr";
  const int saved = ::dup(STDERR_FILENO);
  const int file = ::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  ::dup2(file, STDERR_FILENO);
  write();
  ::dup2(saved, STDERR_FILENO);
  ::close(file);
  ::close(saved);
  std::ifstream in(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) {
    lines.push_back(line);
  }
  return lines;
}

}  // namespace

TEST_CASE("a_text_line_has_time_level_event_and_fields") {
  const std::vector<log::Field> fields{
      {"peer", "192.0.2.1:5000"}, {"bytes", std::uint64_t{2214}}, {"delta", -3}, {"ratio", 0.5}};
  CHECK(log::format_text(kTime, log::Level::info, "connection closed", fields) ==
        "2026-11-21T09:14:07.123Z info connection closed peer=192.0.2.1:5000 bytes=2214 delta=-3 "
        "ratio=0.5");
}

TEST_CASE("values_are_quoted_where_a_reader_would_stumble") {
  CHECK(text_of("plain/value-1.xml") == "plain/value-1.xml");
  CHECK(text_of("") == "\"\"");
  CHECK(text_of("two words") == "\"two words\"");
  CHECK(text_of("a=b") == "\"a=b\"");
  CHECK(text_of("say \"hi\"") == R"("say \"hi\"")");
  CHECK(text_of("back\\slash") == R"("back\\slash")");
  CHECK(text_of("Müller€😀") == "Müller€😀");
}

TEST_CASE("no_control_character_and_no_broken_utf8_reaches_the_log") {
  CHECK(text_of("a\nb\r\tc") == R"("a\nb\r\tc")");
  CHECK(text_of(std::string_view("\x1b[31m\0\x7f", 7)) == R"("\x1b[31m\x00\x7f")");
  CHECK(text_of("\xC2\x85") == R"("\u0085")");
  CHECK(text_of("\xFF\xC3") == R"("\xff\xc3")");
  CHECK(text_of("\xED\xA0\x80") == R"("\xed\xa0\x80")");  // a surrogate
  CHECK(text_of("\xC0\xAF") == R"("\xc0\xaf")");          // overlong
}

TEST_CASE("a_json_line_parses_whatever_the_value_is") {
  const std::vector<log::Field> fields{{"v", std::string("a\"\n\x1b\xFFz")}, {"n", 7U}};
  const std::string line = log::format_json(kTime, log::Level::warning, "rejected", fields);
  CHECK(line.find('\n') == std::string::npos);
  const auto object = nlohmann::json::parse(line);
  CHECK(object["time"] == "2026-11-21T09:14:07.123Z");
  CHECK(object["level"] == "warning");
  CHECK(object["event"] == "rejected");
  CHECK(object["v"] == "a\"\n\x1b\xEF\xBF\xBDz");
  CHECK(object["n"] == 7);
}

TEST_CASE("lines_below_the_level_are_not_written") {
  const auto lines = captured([] {
    log::set_level(log::Level::warning);
    log::info("not this");
    log::warning("but this {}", {{"n", 1}});
    log::set_level(log::Level::info);
  });
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].find(" warning but this {} n=1") != std::string::npos);
}

TEST_CASE("a_limited_event_passes_once_an_interval_and_says_what_it_left_out") {
  log::LineLimiter limiter(std::chrono::seconds(1));
  const MonotonicTime begin = std::chrono::steady_clock::now();
  CHECK(limiter.pass("flood", begin) == 0);
  CHECK_FALSE(limiter.pass("flood", begin + std::chrono::milliseconds(500)));
  CHECK_FALSE(limiter.pass("flood", begin + std::chrono::milliseconds(999)));
  CHECK(limiter.pass("other", begin + std::chrono::milliseconds(999)) == 0);
  CHECK(limiter.pass("flood", begin + std::chrono::seconds(1)) == 2);
  CHECK(limiter.pass("flood", begin + std::chrono::seconds(2)) == 0);
}

TEST_CASE("a_flood_of_one_event_is_one_line") {
  const auto lines = captured([] {
    for (int i = 0; i < 5; ++i) {
      log::limited(log::Level::warning, "flood", {{"n", i}});
    }
  });
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].find("flood n=0") != std::string::npos);
}

TEST_CASE("levels_are_named_in_settings") {
  CHECK(*log::level_from_string("debug") == log::Level::debug);
  CHECK(*log::level_from_string("error") == log::Level::error);
  CHECK_FALSE(log::level_from_string("loud"));
}
