// scan_json against examples, and against nlohmann's parser: the two agree on what JSON is, but for
// what docs/decisions/log-line-parser.md names.
#include "common/ndjson/json_scan.h"

#include <doctest/doctest.h>

#include <chrono>
#include <random>
#include <string>

#include "second_opinion.h"

using namespace sluice;  // NOLINT

namespace {

std::string nested(std::size_t depth, std::string_view open, std::string_view close) {
  std::string text;
  for (std::size_t i = 0; i < depth; ++i) {
    text += open;
  }
  text += "1";
  for (std::size_t i = 0; i < depth; ++i) {
    text += close;
  }
  return text;
}

// Valid more often than not, and seldom far from it.
class RandomJson {
 public:
  explicit RandomJson(std::uint64_t seed) : random_(seed) {}

  std::string text() {
    std::string made = value(0);
    for (std::size_t faults = random_() % 3; faults > 0 && !made.empty(); --faults) {
      const std::size_t at = random_() % made.size();
      switch (random_() % 4) {
        case 0:
          made.erase(at, 1 + random_() % 3);
          break;
        case 1:
          made.insert(at, piece());
          break;
        case 2:
          made[at] = static_cast<char>(1 + random_() % 255);
          break;
        default:
          break;  // as it is
      }
    }
    return made;
  }

 private:
  std::string piece() {
    constexpr std::string_view kPieces[] = {"{",
                                            "}",
                                            "[",
                                            "]",
                                            ",",
                                            ":",
                                            "\"",
                                            "\\",
                                            "0",
                                            "-",
                                            "1.5",
                                            "1e400",
                                            ".",
                                            "e+",
                                            "true",
                                            "null",
                                            "\\u00e9",
                                            "\\ud8",
                                            "\n",
                                            " ",
                                            "\xC3\xA9",
                                            "\xE2\x82\xAC",
                                            "\xF0\x9F\x98\x80",
                                            "\xED\xA0\x80",
                                            "\xC0\x80",
                                            "\x7F",
                                            "\\ud83d\\ude00",
                                            "NaN",
                                            "Infinity",
                                            "0123",
                                            "12345678901234567890123"};
    return std::string(kPieces[random_() % std::size(kPieces)]);
  }
  std::string space() { return random_() % 4 == 0 ? std::string(random_() % 3, ' ') : ""; }
  std::string string() {
    std::string made = "\"";
    for (std::size_t length = random_() % 40; made.size() < length;) {
      constexpr std::string_view kPieces[] = {"a",           "level",        "xyz xyz xyz",
                                              "\\n",         "\\\"",         "\\\\",
                                              "\\/",         "\\u0041",      "\\ud83d\\ude00",
                                              "\xC3\xA9",    "\xE2\x82\xAC", "\xF0\x9F\x98\x80",
                                              "\\b\\f\\r\\t"};
      made += kPieces[random_() % std::size(kPieces)];
    }
    return made + '"';
  }
  std::string value(int depth) {
    switch (random_() % (depth < 5 ? 8 : 6)) {
      case 0:
      case 1:
        return string();
      case 2:
        return std::to_string(random_());
      case 3: {
        constexpr std::string_view kNumbers[] = {"0",    "-0",     "-1.5",  "1E5",  "0.1e-7",
                                                 "1e+9", "-0.0e0", "10000", "1e400"};
        return std::string(kNumbers[random_() % std::size(kNumbers)]);
      }
      case 4:
        return random_() % 2 == 0 ? "true" : "false";
      case 5:
        return "null";
      default: {
        const bool object = random_() % 2 == 0;
        std::string made(1, object ? '{' : '[');
        for (std::size_t members = random_() % 5; members > 0; --members) {
          made += space() + (object ? string() + space() + ":" + space() : "") + value(depth + 1) +
                  space() + (members > 1 ? "," : "");
        }
        return made + (object ? '}' : ']');
      }
    }
  }

  std::mt19937_64 random_;
};

}  // namespace

TEST_CASE("what_is_json_is_accepted_and_what_is_not_is_not") {
  for (const std::string_view text :
       {"0", "-0", "1.5e-7", "1E+5", "\"\"", "true", "false", "null", "[]", "{}", " [ 1 , 2 ] ",
        "{\"a\":{\"b\":[{},[]]}}", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"", "\"\xC3\xA9\x7F\"",
        "\r\n\t 1 \r\n\t", "{\"\":0}"}) {
    CAPTURE(text);
    CHECK(test::is_json(text));
  }
  for (const std::string_view text : {"",
                                      " ",
                                      "01",
                                      "1.",
                                      ".5",
                                      "+1",
                                      "-",
                                      "1e",
                                      "1e+",
                                      "0x1",
                                      "1 2",
                                      "tru",
                                      "nulll",
                                      "True",
                                      "[1,]",
                                      "[,1]",
                                      "[1",
                                      "]",
                                      "{",
                                      "{\"a\"}",
                                      "{\"a\":}",
                                      "{\"a\":1,}",
                                      "{a:1}",
                                      "{'a':1}",
                                      "{\"a\":1]",
                                      "[1}",
                                      "{\"a\":1 \"b\":2}",
                                      "{,}",
                                      "\"",
                                      "\"\\",
                                      "\"\\\"",
                                      "\"\\x\"",
                                      "\"\\u12\"",
                                      "\"\\u12g4\"",
                                      "\"\n\"",
                                      "\"\t\"",
                                      "\"\x1F\"",
                                      "\"\xFF\"",
                                      "\"\xC3\"",
                                      "\"\xC0\x80\"",
                                      "\"\xED\xA0\x80\"",
                                      "\"\xF4\x90\x80\x80\"",
                                      "\xC3\xA9",
                                      "\v1",
                                      "1//",
                                      "\xEF\xBB\xBF{}",
                                      "NaN",
                                      "Infinity",
                                      "-Infinity",
                                      "[NaN]",
                                      "1\xC2\xA0"}) {
    CAPTURE(text);
    CHECK_FALSE(test::is_json(text));
  }
}

TEST_CASE("j3_64_levels_are_accepted_and_65_are_not") {
  for (const auto& [open, close] :
       {std::pair("[", "]"), std::pair("{\"a\":", "}"), std::pair("[ {\"a\": ", "} ]")}) {
    const std::size_t levels = std::string_view(open).find('{') == 2 ? 2 : 1;
    CHECK(test::is_json(nested(64 / levels, open, close)));
    CHECK_FALSE(test::is_json(nested(64 / levels + 1, open, close)));
  }
  CHECK_FALSE(test::is_json("[" + nested(64, "[", "]") + "]"));
  CHECK(test::is_json("[" + nested(63, "[", "]") + "," + nested(63, "{\"a\":", "}") + "]"));
}

TEST_CASE("j3_a_hundred_thousand_brackets_are_no_json_at_once") {
  CHECK_FALSE(test::is_json(std::string(100'000, '[')));
  CHECK_FALSE(test::is_json(nested(100'000, "[", "]")));
  CHECK_FALSE(test::is_json(nested(100'000, "{\"a\":", "}")));
}

TEST_CASE("j4_numbers_of_any_size_and_lone_surrogates_are_json_and_a_nul_is_not") {
  CHECK(test::is_json("1e400"));
  CHECK(test::is_json("-1e-400"));
  CHECK(test::is_json("12345678901234567890123"));
  CHECK(test::is_json(std::string(100'000, '7')));
  CHECK(test::is_json(R"("\ud800")"));
  CHECK(test::is_json(R"("\udc00\ud800x")"));
  CHECK_FALSE(test::is_json(std::string_view("\"\0\"", 3)));
  CHECK_FALSE(test::is_json(std::string_view("1\0", 2)));
}

TEST_CASE("j4_any_text_is_json_to_both_parsers_or_to_none") {
  const auto seed =
      static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
  MESSAGE("seed " << seed);
  RandomJson random(seed);
  int accepted = 0;
  int compared = 0;
  for (int round = 0; round < 100'000; ++round) {
    const std::string text = random.text();
    const test::Opinion other = test::second_opinion(text);
    if (other == test::Opinion::none) {
      continue;
    }
    CAPTURE(text);
    REQUIRE(test::is_json(text) == (other == test::Opinion::json));
    ++compared;
    accepted += other == test::Opinion::json ? 1 : 0;
  }
  CHECK(compared > 80'000);
  CHECK(accepted > 20'000);
  CHECK(accepted < compared - 20'000);
}
