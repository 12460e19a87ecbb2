#include "common/ndjson/line_renderer.h"

#include <doctest/doctest.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <random>
#include <string>

#include "common/base/units.h"
#include "common/ndjson/log_line.h"

using namespace sluice;  // NOLINT

namespace {

const WallTime kReceivedAt = wall_time_of(1'795'252'447) + std::chrono::nanoseconds(123'456'789);
constexpr std::string_view kTime = "2026-11-21T09:14:07.123456Z";
const PeerAddress kPeer = *parse_peer_address("192.0.2.1:5000");

std::string log_file_line(std::string_view line) {
  LineRenderer renderer;
  std::string out;
  CHECK(renderer.append_log_file_line(line, kReceivedAt, out));
  REQUIRE(out.starts_with(kTime));
  REQUIRE(out.ends_with('\n'));
  CHECK(out.size() <= log_file_bytes_max(line.size()));
  return out.substr(kTime.size() + 1, out.size() - kTime.size() - 2);
}

std::string jsonl(std::string_view line) {
  LineRenderer renderer;
  std::string out;
  CHECK(renderer.append_jsonl(line, {kReceivedAt, kPeer, {}}, out));
  CHECK(out.size() <= jsonl_bytes_max(line.size()));
  const std::string end =
      R"(,"_received_at":")" + std::string(kTime) + R"(","_peer":"192.0.2.1:5000"})" + "\n";
  REQUIRE(out.ends_with(end));
  return out.substr(0, out.size() - end.size());
}

std::string logged_message(std::string_view message) {
  const std::string line =
      log_file_line(R"({"level":"INFO","message":)" + std::string(message) + "}");
  REQUIRE(line.starts_with("[INFO] "));
  return line.substr(7);
}

// In all objects of `value`.
std::size_t keys_of(const nlohmann::json& value) {
  std::size_t keys = value.is_object() ? value.size() : 0;
  for (const nlohmann::json& element : value) {
    keys += element.is_structured() ? keys_of(element) : 0;
  }
  return keys;
}

}  // namespace

TEST_CASE("a_line_of_the_log_file_has_time_level_and_message") {
  CHECK(log_file_line(R"( {"level":" error ","message":"disk full","host":"a"} )") ==
        "[ERROR] disk full");
  CHECK(logged_message("\"\"").empty());
  CHECK(logged_message("\"Stra\xC3\x9F"
                       "e \xF0\x9F\x98\x80 \\ud83d\\ude00 \\u20ac\"") ==
        "Stra\xC3\x9F"
        "e \xF0\x9F\x98\x80 \xF0\x9F\x98\x80 \xE2\x82\xAC");
}

TEST_CASE("j5_control_characters_are_escaped_and_one_record_is_one_line") {
  CHECK(logged_message(R"("a\nb\r\n[ERROR] forged")") == R"(a\nb\r\n[ERROR] forged)");
  CHECK(logged_message(R"("\u001b[31mred\u001b[0m\u0000\b\f\t")") ==
        R"(\u001b[31mred\u001b[0m\u0000\u0008\u000c\t)");
  CHECK(logged_message("\"\x7F\xC2\x80\xC2\x9B\xC2\x9F\xC2\xA0\"") ==
        "\\u007f\\u0080\\u009b\\u009f\xC2\xA0");
  CHECK(logged_message("\"\xE2\x80\xA7\xE2\x80\xA8\xE2\x80\xA9\xE2\x80\xB0\"") ==
        "\xE2\x80\xA7\\u2028\\u2029\xE2\x80\xB0");
  CHECK(logged_message(R"("\u007f\u0085\u2028")") == R"(\u007f\u0085\u2028)");
  CHECK(logged_message(R"("C:\\new\\\\x \" \/")") == R"(C:\new\\x " /)");
  CHECK(logged_message(R"("\ud800 \udc00\ud800")") == "\xEF\xBF\xBD \xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST_CASE("the_name_of_a_clients_certificate_is_a_field_that_no_client_can_take") {
  LineRenderer renderer;
  std::string out;
  const std::string_view line = R"({"level":"INFO","message":"x","_client":"forged"})";
  CHECK(renderer.append_jsonl(line, {kReceivedAt, kPeer, R"(CN "a\b")"}, out));
  CHECK(out == R"({"level":"INFO","message":"x","__client":"forged","_received_at":")" +
                   std::string(kTime) + R"(","_peer":"192.0.2.1:5000","_client":"CN \"a\\b\""})" +
                   "\n");
  out.clear();
  const std::string longest(255, '"');
  CHECK(renderer.append_jsonl(line, {kReceivedAt, kPeer, longest}, out));
  CHECK(out.size() <= jsonl_bytes_max(line.size()));
}

TEST_CASE("a_message_that_is_no_string_is_logged_as_its_json_text") {
  CHECK(logged_message("null") == "null");
  CHECK(logged_message("-1.50E+400") == "-1.50E+400");
  CHECK(logged_message(R"({ "a" : [ 1 , "x y\n" ] , "a" : true })") == R"({"a":true})");
  CHECK(logged_message(R"(["x , y\n"])") == R"(["x , y\n"])");
}

TEST_CASE("an_objects_line_has_level_message_and_all_other_fields_in_their_order") {
  CHECK(jsonl(R"({"z":1,"message":"disk full","a":"b","level":"error","n":null})") ==
        R"({"level":"ERROR","message":"disk full","z":1,"a":"b","n":null)");
  CHECK(jsonl(" {\"level\" : \"INFO\" ,\t\"message\":\"a b\" , \"o\" : { \"x y\" : [ 1 , 2 , { } , "
              "\" , \" ] } } \r") ==
        R"({"level":"INFO","message":"a b","o":{"x y":[1,2,{}," , "]})");
  CHECK(jsonl(R"({"level":"INFO","message":{"a" : "b\"\\"}})") ==
        R"({"level":"INFO","message":"{\"a\":\"b\\\"\\\\\"}")");
  CHECK(jsonl(R"({"level":"INFO","message":"a\n\u001b\"\\"})") ==
        R"({"level":"INFO","message":"a\n\u001b\"\\")");
}

TEST_CASE("j4_numbers_are_copied_byte_for_byte") {
  CHECK(jsonl(R"({"level":"INFO","message":1e400,"a":12345678901234567890,"b":[-0.10, 1E+5]})") ==
        R"({"level":"INFO","message":"1e400","a":12345678901234567890,"b":[-0.10,1E+5])");
}

TEST_CASE("j4_of_doubled_keys_only_the_last_is_written_at_any_depth") {
  CHECK(
      jsonl(R"({"level":"DEBUG","a":1,"message":"x","b":2,"a":3,"level":"INFO","message":"y"})") ==
      R"({"level":"INFO","message":"y","b":2,"a":3)");
  CHECK(
      jsonl(
          R"({"level":"INFO","message":"x","o":{"a":{"a":1,"b":2},"b":0,"\u0061":[{"c":1,"c":2}],"b":1}})") ==
      R"({"level":"INFO","message":"x","o":{"\u0061":[{"c":2}],"b":1})");
  CHECK(jsonl(R"({"level":"INFO","message":"x","o":{"a":1,"a":2},"p":{"a":1}})") ==
        R"({"level":"INFO","message":"x","o":{"a":2},"p":{"a":1})");
}

TEST_CASE("j4_lone_surrogates_become_the_replacement_character") {
  CHECK(
      jsonl(
          R"({"level":"INFO","message":"\ud800\u0041","a":"\ud83d\ude00 \uDC00","b":["\ud800\ud800\udc00"]})") ==
      R"({"level":"INFO","message":"\ufffd\u0041","a":"\ud83d\ude00 \ufffd","b":["\ufffd\ud800\udc00"])");
  // Keys that become the same one are doubles, too.
  CHECK(jsonl(R"({"level":"INFO","message":"x","\ud800":1,"\ud801":2})") ==
        R"({"level":"INFO","message":"x","\ufffd":2)");
}

TEST_CASE("a_clients_field_of_one_of_our_names_gets_underscores_and_nothing_is_lost") {
  CHECK(jsonl(R"({"level":"INFO","message":"x","_peer":1,"_received_at":"y"})") ==
        R"({"level":"INFO","message":"x","__peer":1,"__received_at":"y")");
  CHECK(
      jsonl(
          R"({"level":"INFO","message":"x","___peer":3,"\u005fpeer":1,"__peer":2,"_____peer":4})") ==
      R"({"level":"INFO","message":"x","___peer":3,"____peer":1,"__peer":2,"_____peer":4)");
  CHECK(jsonl(R"({"level":"INFO","message":"x","__peer":1,"o":{"_peer":2},"a_peer":3})") ==
        R"({"level":"INFO","message":"x","__peer":1,"o":{"_peer":2},"a_peer":3)");
}

TEST_CASE("what_is_no_line_to_keep_is_not_rendered") {
  LineRenderer renderer;
  std::string out;
  for (const std::string_view line :
       {"", "x", "[]", "{}", R"({"level":"INFO"})", R"({"level":"LOUD","message":"x"})",
        R"({"level":1,"message":"x"})", R"({"level":"INFO","message":"x")"}) {
    CAPTURE(line);
    CHECK_FALSE(renderer.append_log_file_line(line, kReceivedAt, out));
    CHECK_FALSE(renderer.append_jsonl(line, {kReceivedAt, kPeer, {}}, out));
    CHECK(out.empty());
  }
  CHECK(renderer.append_log_file_line(R"({"level":"DEBUG","message":"x"})", kReceivedAt, out));
}

TEST_CASE("the_bounds_hold_for_what_grows_most") {
  const std::string del(1000, '\x7F');
  CHECK(logged_message('"' + del + '"').size() == 6000);
  std::string slashes = "[\"";
  for (int i = 0; i < 500; ++i) {
    slashes += "\\\\";
  }
  (void)jsonl(R"({"level":"INFO","message":)" + slashes + "\"]}");
  std::string names;
  for (int i = 1; i < 300; ++i) {
    names += ",\"" + std::string(static_cast<std::size_t>(i), '_') + "peer\":0";
  }
  CHECK(
      jsonl(R"({"level":"INFO","message":"")" + names + "}").find(std::string(300, '_') + "peer") !=
      std::string::npos);
  LineRenderer renderer;
  std::string out;
  const PeerAddress longest = *parse_peer_address("[2001:db8:1111:2222:3333:4444:5555:6666]:65535");
  const std::string_view shortest = R"({"level":"CRITICAL","message":0})";
  CHECK(renderer.append_jsonl(shortest, {kReceivedAt, longest, {}}, out));
  CHECK(out.size() <= jsonl_bytes_max(shortest.size()));
}

TEST_CASE("j5_any_line_becomes_one_line_that_means_the_same") {
  using nlohmann::json;
  const auto seed =
      static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
  MESSAGE("seed " << seed);
  std::mt19937_64 random(seed);
  constexpr std::string_view kTexts[] = {
      "level",   "message", "_peer",    "__peer", "_received_at", "a",    "b\\n",
      "\\u0061", "\\u000a", "\xC2\x85", "\x7F",   "\\\\",         "\\\"", "\\ud83d\\ude00"};
  const auto text = [&] {
    std::string made(kTexts[random() % std::size(kTexts)]);
    return '"' +
           (random() % 3 == 0 ? made + std::string(kTexts[random() % std::size(kTexts)]) : made) +
           '"';
  };
  const auto value = [&](const auto& self, int depth) -> std::string {
    switch (random() % (depth < 3 ? 6 : 4)) {
      case 0:
        return std::to_string(random() % 1000);
      case 1:
        return "null";
      case 2:
      case 3:
        return text();
      default: {
        const bool object = random() % 2 == 0;
        std::string made(1, object ? '{' : '[');
        for (std::size_t members = random() % 4; members > 0; --members) {
          made +=
              (object ? text() + " : " : " ") + self(self, depth + 1) + (members > 1 ? " ," : "");
        }
        return made + (object ? '}' : ']');
      }
    }
  };
  LineRenderer renderer;
  for (int round = 0; round < 20'000; ++round) {
    std::string line = R"({"level":"info",)";
    for (std::size_t members = random() % 8; members > 0; --members) {
      line += text() + ":" + value(value, 1) + ",";
    }
    line += R"("level": "ERROR","message":)" + value(value, 1) + "}";
    CAPTURE(line);
    std::string out;
    REQUIRE(renderer.append_jsonl(line, {kReceivedAt, kPeer, {}}, out));
    REQUIRE(out.size() <= jsonl_bytes_max(line.size()));
    REQUIRE(out.find('\n') == out.size() - 1);
    json expected = json::parse(line);
    if (!expected["message"].is_string()) {
      // nlohmann sorts keys: compared by what they mean.
      const auto written = json::parse(out)["message"].get<std::string>();
      REQUIRE(json::parse(written) == expected["message"]);
      expected["message"] = written;
    }
    for (const std::string& name : {std::string("_peer"), std::string("_received_at")}) {
      if (expected.contains(name)) {
        std::string free = "_" + name;
        while (expected.contains(free)) {
          free.insert(0, 1, '_');
        }
        expected[free] = expected[name];
      }
    }
    expected["_peer"] = "192.0.2.1:5000";
    expected["_received_at"] = kTime;
    // A key that stands there twice would be one in nlohmann's object.
    std::size_t keys = 0;
    const json made =
        json::parse(out, [&](int /*depth*/, json::parse_event_t event, json& /*parsed*/) {
          keys += event == json::parse_event_t::key ? 1 : 0;
          return true;
        });
    REQUIRE(made == expected);
    REQUIRE(keys == keys_of(made));
    std::string logged;
    REQUIRE(renderer.append_log_file_line(line, kReceivedAt, logged));
    REQUIRE(logged.size() <= log_file_bytes_max(line.size()));
    for (std::size_t at = 0; at + 1 < logged.size(); ++at) {
      const auto byte = static_cast<unsigned char>(logged[at]);
      REQUIRE((byte >= 0x20 && byte != 0x7F));
      REQUIRE(!(byte == 0xC2 && static_cast<unsigned char>(logged[at + 1]) < 0xA0));
    }
  }
}
