// The logs protocol's bytes. A stream gives the same lines however it arrives. Each line is JSON to
// scan_json if and only if it is to nlohmann's parser (second_opinion.h says where they may
// differ). What check_log_line receives is rendered, within its bounds, as one line each, and the
// object's line is JSON that means the same when it is rendered again. The first bytes of the input
// choose the longest line and the parts.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "../unit/ndjson/line_framing.h"
#include "../unit/ndjson/second_opinion.h"
#include "common/ndjson/line_renderer.h"
#include "common/ndjson/log_line.h"

namespace {

using namespace sluice;  // NOLINT

void require(bool holds) {
  if (!holds) {
    std::abort();
  }
}

void render(std::string_view line, bool expected) {
  LineRenderer renderer;
  const PeerAddress peer;
  const WallTime received_at{};
  std::string logged;
  std::string object;
  require(renderer.append_log_file_line(line, received_at, logged) == expected);
  require(renderer.append_jsonl(line, {received_at, peer, {}}, object) == expected);
  if (!expected) {
    require(logged.empty() && object.empty());
    return;
  }
  require(logged.size() <= log_file_bytes_max(line.size()));
  require(object.size() <= jsonl_bytes_max(line.size()));
  require(std::none_of(logged.begin(), logged.end() - 1,
                       [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }));
  require(object.find('\n') == object.size() - 1);
  require(test::second_opinion(object) != test::Opinion::not_json && test::is_json(object));
  // The message is a string now, and no field is lost: only ours are renamed.
  std::string logged_again;
  std::string object_again;
  require(renderer.append_log_file_line(object, received_at, logged_again));
  require(logged_again == logged);
  require(renderer.append_jsonl(object, {received_at, peer, {}}, object_again));
  require(object_again.size() > object.size());
}

void judge(std::string_view line) {
  const test::Opinion other = test::second_opinion(line);
  require(other == test::Opinion::none || test::is_json(line) == (other == test::Opinion::json));
  const LogVerdict verdict = check_log_line(line, LogLevel::debug);
  require((verdict == LogVerdict::invalid_json) == !test::is_json(line));
  render(line, verdict == LogVerdict::received);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kChoices = 2;
  if (size < kChoices) {
    return 0;
  }
  const std::uint64_t line_bytes_max = 1 + 16 * std::uint64_t{data[0]};
  const std::string_view text(reinterpret_cast<const char*>(data) + kChoices, size - kChoices);
  std::vector<std::size_t> ends;
  std::uint32_t random = data[1];
  for (std::size_t end = 0; end < text.size();) {
    random = random * 1664525U + 1013904223U;
    end = std::min(text.size(), end + 1 + (random >> 24) % 23);
    ends.push_back(end);
  }
  const test::FramedLines whole = test::frame_lines(text, line_bytes_max);
  const test::FramedLines parts = test::frame_lines(text, ends, line_bytes_max);
  require(whole.cuts == parts.cuts);
  for (const Cut& cut : whole.cuts) {
    if (!cut.refused) {
      judge(text.substr(cut.begin, cut.length));
    }
  }
  return 0;
}
