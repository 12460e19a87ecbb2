#include "common/ndjson/log_line.h"

#include <doctest/doctest.h>

#include <string>

#include "common/ndjson/log_level.h"

using namespace sluice;  // NOLINT

namespace {

LogVerdict check(std::string_view line) { return check_log_line(line, LogLevel::info); }

}  // namespace

TEST_CASE("replies_are_byte_for_byte_those_of_the_server_before_this_one") {
  CHECK(reply_text(LogVerdict::received) == "{\"status\": \"ok\", \"message\": \"received\"}\n");
  CHECK(reply_text(LogVerdict::filtered) == "{\"status\": \"ok\", \"message\": \"filtered\"}\n");
  CHECK(reply_text(LogVerdict::invalid_json) ==
        "{\"status\": \"error\", \"message\": \"invalid JSON\"}\n");
  CHECK(reply_text(LogVerdict::missing_fields) ==
        "{\"status\": \"error\", \"message\": \"missing required fields: level, message\"}\n");
  CHECK(reply_text(LogVerdict::not_an_object) ==
        "{\"status\": \"error\", \"message\": \"expected JSON object\"}\n");
  CHECK(reply_text(LogVerdict::rate_limited) ==
        "{\"status\": \"error\", \"message\": \"rate limit exceeded\"}\n");
}

TEST_CASE("levels_are_known_in_any_case_and_with_white_space_around_them") {
  CHECK(parse_log_level("DEBUG") == LogLevel::debug);
  CHECK(parse_log_level(" info\t") == LogLevel::info);
  CHECK(parse_log_level("Warning\r\n") == LogLevel::warning);
  CHECK(parse_log_level("eRRoR") == LogLevel::error);
  CHECK(parse_log_level("critical") == LogLevel::critical);
  CHECK(LogLevel::debug < LogLevel::info);
  CHECK(LogLevel::error < LogLevel::critical);
  for (const std::string_view text : {"", "WARN", "FATAL", "INFO2", "IN FO", "INF", "50"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_log_level(text));
  }
  for (const LogLevel level :
       {LogLevel::debug, LogLevel::info, LogLevel::warning, LogLevel::error, LogLevel::critical}) {
    CHECK(parse_log_level(to_string(level)) == level);
    CHECK(to_string(level).size() <= kLogLevelLengthMax);
  }
}

TEST_CASE("each_fault_of_a_line_has_its_verdict_and_the_first_one_counts") {
  CHECK(check(R"({"level":"ERROR","message":"disk full"})") == LogVerdict::received);
  CHECK(check(" \t{\"message\" : \"x\" , \"level\" : \" info \"} \r\n\v\f") ==
        LogVerdict::received);
  CHECK(check(R"({"level":"DEBUG","message":"x"})") == LogVerdict::filtered);
  CHECK(check(R"({"level":"LOUD","message":"x"})") == LogVerdict::filtered);
  CHECK(check(R"({"level":"ERROR"})") == LogVerdict::missing_fields);
  CHECK(check(R"({"level":"LOUD"})") == LogVerdict::missing_fields);
  CHECK(check(R"({"message":"x"})") == LogVerdict::missing_fields);
  CHECK(check("{}") == LogVerdict::missing_fields);
  CHECK(check(R"({"a":{"level":"ERROR","message":"x"}})") == LogVerdict::missing_fields);
  CHECK(check(R"({"Level":"ERROR","Message":"x"})") == LogVerdict::missing_fields);
  for (const std::string_view line :
       {"[]", "1", "\"level\"", "null", "true", R"([{"level":"ERROR","message":"x"}])"}) {
    CAPTURE(line);
    CHECK(check(line) == LogVerdict::not_an_object);
  }
  for (const std::string_view line :
       {"", "disk full", R"({"level":"ERROR","message":"x")", R"({"level":"ERROR","message":"x"}})",
        R"({"level":"ERROR","message":NaN})", R"({"level":"ERROR","message":Infinity})",
        "{\"level\":\"ERROR\",\"message\":\"\xFF\"}", R"(["a")",
        R"({"level":"LOUD","message":})"}) {
    CAPTURE(line);
    CHECK(check(line) == LogVerdict::invalid_json);
  }
}

TEST_CASE("lines_below_the_least_level_are_filtered") {
  for (int least = 0; least < 5; ++least) {
    for (int level = 0; level < 5; ++level) {
      const std::string line = "{\"level\":\"" +
                               std::string(to_string(static_cast<LogLevel>(level))) +
                               "\",\"message\":\"x\"}";
      CHECK(check_log_line(line, static_cast<LogLevel>(least)) ==
            (level >= least ? LogVerdict::received : LogVerdict::filtered));
    }
  }
}

TEST_CASE("level_and_message_may_have_any_type_and_a_level_that_is_no_string_is_none") {
  for (const std::string_view value :
       {"null", "1e400", "true", "[\"ERROR\"]", "{\"a\":1}", "\"\""}) {
    CAPTURE(value);
    CHECK(check(R"({"level":"ERROR","message":)" + std::string(value) + "}") ==
          LogVerdict::received);
    CHECK(check(R"({"message":"x","level":)" + std::string(value) + "}") == LogVerdict::filtered);
  }
}

TEST_CASE("j3_64_levels_in_a_line_are_accepted_and_65_are_invalid") {
  const auto line = [](std::size_t depth) {
    return R"({"level":"ERROR","message":)" + std::string(depth - 1, '[') +
           std::string(depth - 1, ']') + "}";
  };
  CHECK(check(line(64)) == LogVerdict::received);
  CHECK(check(line(65)) == LogVerdict::invalid_json);
  CHECK(check(std::string(100'000, '[')) == LogVerdict::invalid_json);
}

TEST_CASE("j4_of_doubled_keys_the_last_one_counts_however_it_is_written") {
  CHECK(check(R"({"level":"ERROR","message":"x","level":"DEBUG"})") == LogVerdict::filtered);
  CHECK(check(R"({"level":"DEBUG","message":"x","level":"ERROR"})") == LogVerdict::received);
  CHECK(check(R"({"level":"DEBUG","message":"x","l\u0065vel":"ERROR"})") == LogVerdict::received);
  CHECK(check(R"({"\u006c\u0065\u0076\u0065\u006c":"ERR\u004fR","messag\u0065":"x"})") ==
        LogVerdict::received);
  CHECK(check(R"({"level":"ERROR","message":"x","a":{"level":"DEBUG"}})") == LogVerdict::received);
  CHECK(check(R"({"level":{"level":"DEBUG"},"message":"x"})") == LogVerdict::filtered);
}

TEST_CASE("j4_odd_numbers_and_lone_surrogates_are_received_and_a_nul_is_invalid") {
  CHECK(check(R"({"level":"ERROR","message":"\ud800","a":1e400,"b":12345678901234567890})") ==
        LogVerdict::received);
  CHECK(check(R"({"level":"ERROR","message":"\u0000"})") == LogVerdict::received);
  CHECK(check(std::string("{\"level\":\"ERROR\",\"message\":\"\0\"}", 31)) ==
        LogVerdict::invalid_json);
  CHECK(check(std::string("{\"level\":\"ERROR\",\"message\":\"\"}\0", 31)) ==
        LogVerdict::invalid_json);
}
