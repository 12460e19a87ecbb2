// What sluice-load sends to the logs and rpc listeners, and which answers it waits for: judged by
// JSON as another parser reads it, and by the protocol's published bytes.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "common/ndjson/log_line.h"
#include "log_lines.h"
#include "rpc_requests.h"

using namespace sluice::load;
using nlohmann::json;

namespace {

struct Line {
  std::string text;  // without its end
  Answer answer;
};

std::vector<Line> lines_of(const Options& options, int count) {
  Record unopened;
  LogLineSource source(options, unopened);
  std::vector<Line> lines;
  for (int i = 0; i < count; ++i) {
    std::string buffer;
    std::deque<RenderedEvent> rendered;
    source.append(i == 0, buffer, rendered);
    REQUIRE(rendered.size() == 1);
    const std::size_t end = rendered.front().end;
    REQUIRE(end == buffer.find('\n') + 1);  // it is answered then
    CHECK(buffer.substr(end).find_first_not_of(" \t\r\n") == std::string::npos);
    lines.push_back({buffer.substr(0, end - 1), rendered.front().answer});
  }
  return lines;
}

Options with_seed(std::uint64_t seed) {
  Options options;
  options.protocol = Protocol::logs;
  options.seed = seed;
  return options;
}

}  // namespace

TEST_CASE("log_lines_are_objects_of_about_200_bytes_with_an_identifier_of_their_own") {
  std::set<std::string> identifiers;
  std::map<std::string, int> levels;
  std::size_t bytes = 0;
  const auto lines = lines_of(with_seed(7), 5000);
  for (const Line& line : lines) {
    const json object = json::parse(line.text);
    identifiers.insert(object.at("id").get<std::string>());
    std::string level = object.at("level");
    std::transform(level.begin(), level.end(), level.begin(), ::toupper);
    ++levels[level];
    CHECK_FALSE(object.at("message").get<std::string>().empty());
    CHECK(line.answer.bytes() == (level == "DEBUG"
                                      ? "{\"status\": \"ok\", \"message\": \"filtered\"}\n"
                                      : "{\"status\": \"ok\", \"message\": \"received\"}\n"));
    bytes += line.text.size();
  }
  CHECK(identifiers.size() == lines.size());
  CHECK(identifiers.begin()->size() == 16);
  CHECK(levels.size() == 5);
  CHECK(levels["INFO"] > levels["DEBUG"]);
  CHECK(levels["DEBUG"] > levels["CRITICAL"]);
  CHECK(bytes / lines.size() > 150);
  CHECK(bytes / lines.size() < 250);
}

TEST_CASE("the_seed_decides_the_lines") {
  Options options = with_seed(7);
  options.malformed = 0.2;
  options.separator = Separator::mixed;
  const auto without_time = [](const std::vector<Line>& lines) {
    std::string all;
    for (const Line& line : lines) {
      std::string text = line.text;
      if (const std::size_t at = text.find("\"timestamp\":\""); at != std::string::npos) {
        text.erase(at + 13, 19);
      }
      all += text + "\n";
    }
    return all;
  };
  const std::string first = without_time(lines_of(options, 300));
  CHECK(first == without_time(lines_of(options, 300)));
  options.seed = 8;
  CHECK(first != without_time(lines_of(options, 300)));
}

// The server's own rules are the second opinion here: sluice-load has its answers written down.
TEST_CASE("every_kind_of_line_is_answered_as_the_protocol_says") {
  Options options = with_seed(11);
  options.malformed = 0.5;
  options.separator = Separator::mixed;
  options.level_min = LineLevel::error;
  std::set<AnswerKind> kinds;
  for (const Line& line : lines_of(options, 3000)) {
    kinds.insert(line.answer.kind);
    CAPTURE(line.text);
    CHECK(line.answer.bytes() ==
          sluice::reply_text(sluice::check_log_line(line.text, sluice::LogLevel::error)));
  }
  CHECK(kinds.size() == 5);
}

TEST_CASE("rpc_messages_are_encoded_as_their_first_server_has_them") {
  using namespace std::string_view_literals;
  CHECK(encode_echo("Hi") == "\x0a\x04\x0a\x02Hi");
  CHECK(encode_add(10, 20) == "\x12\x04\x08\x0a\x10\x14");
  CHECK(encode_sum(30) == "\x12\x02\x08\x1e");
  CHECK(encode_sum(0) == "\x12\x00"sv);
  CHECK(encode_sum(-1) == "\x12\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
  CHECK(encode_echo(std::string(200, 'x')).substr(0, 6) == "\x0a\xcb\x01\x0a\xc8\x01");
}

TEST_CASE("rpc_requests_are_of_both_kinds") {
  Options options;
  options.protocol = Protocol::rpc;
  options.seed = 3;
  Record unopened;
  RpcSource source(options, unopened);
  std::string buffer;
  std::deque<RenderedEvent> rendered;
  std::map<AnswerKind, int> kinds;
  for (int i = 0; i < 200; ++i) {
    source.append(i == 0, buffer, rendered);
    CHECK(rendered.back().end == buffer.size());
    ++kinds[rendered.back().answer.kind];
  }
  CHECK(kinds[AnswerKind::echo] > 50);
  CHECK(kinds[AnswerKind::sum] > 50);
}
