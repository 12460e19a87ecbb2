#include "common/ndjson/log_line.h"

#include <array>
#include <string>

#include "common/base/check.h"
#include "common/base/units.h"
#include "common/ndjson/json_scan.h"
#include "common/ndjson/json_text.h"
#include "common/ndjson/line_space.h"

namespace sluice {

namespace {

// "\u006c": no escape says less than a byte in six.
constexpr std::size_t kEscapeLengthMax = 6;

constexpr std::array<std::string_view, kLogVerdicts> kReplies = {
    "{\"status\": \"ok\", \"message\": \"received\"}\n",
    "{\"status\": \"ok\", \"message\": \"filtered\"}\n",
    "{\"status\": \"error\", \"message\": \"invalid JSON\"}\n",
    "{\"status\": \"error\", \"message\": \"missing required fields: level, message\"}\n",
    "{\"status\": \"error\", \"message\": \"expected JSON object\"}\n",
    "{\"status\": \"error\", \"message\": \"rate limit exceeded\"}\n"};

// Whether a key means `name`, which is ASCII.
bool means(std::string_view key, std::string_view name) {
  if (key.size() < name.size() || key.size() > kEscapeLengthMax * name.size()) {
    return false;
  }
  if (key.find('\\') == std::string_view::npos) {
    return key == name;
  }
  std::string decoded;
  append_decoded(key, decoded);
  return decoded == name;
}

// Looks for the last `level` and `message` of the outermost value.
struct Fields {
  explicit Fields(std::string_view line) : text(line) {}

  static void object_begins(std::uint32_t /*depth*/) {}
  void member_begins(std::uint32_t depth, JsonSpan key, std::uint32_t value_begin) {
    if (depth == 1) {
      in_level = means(key.in(text), "level");
      if (in_level) {
        level.begin = value_begin;
        has_level = true;
      } else {
        has_message = has_message || means(key.in(text), "message");
      }
    }
  }
  void member_ends(std::uint32_t depth, std::uint32_t value_end) {
    if (depth == 1 && in_level) {
      level.end = value_end;
    }
  }

  std::string_view text;
  JsonSpan level;
  bool in_level = false;
  bool has_level = false;
  bool has_message = false;
};

}  // namespace

std::string_view reply_text(LogVerdict verdict) {
  return kReplies.at(static_cast<std::size_t>(verdict));
}

std::optional<LogLevel> log_level_of(std::string_view value) {
  if (value.front() != '"') {
    return std::nullopt;
  }
  const std::string_view inner = value.substr(1, value.size() - 2);
  if (inner.find('\\') == std::string_view::npos) {
    return parse_log_level(inner);
  }
  std::string decoded;
  append_decoded(inner, decoded);
  return parse_log_level(decoded);
}

LogVerdict check_log_line(std::string_view line, LogLevel least) {
  CHECK_THAT(line.size() < 2 * kGiB);
  line = strip_line(line);
  Fields fields(line);
  if (!scan_json(line, fields)) {
    return LogVerdict::invalid_json;
  }
  if (line.front() != '{') {
    return LogVerdict::not_an_object;
  }
  if (!fields.has_level || !fields.has_message) {
    return LogVerdict::missing_fields;
  }
  const auto level = log_level_of(fields.level.in(line));
  return level && *level >= least ? LogVerdict::received : LogVerdict::filtered;
}

}  // namespace sluice
