#include "common/ndjson/log_level.h"

#include <algorithm>
#include <array>

#include "common/ndjson/line_space.h"

namespace sluice {

namespace {

constexpr std::array<std::string_view, 5> kNames = {"DEBUG", "INFO", "WARNING", "ERROR",
                                                    "CRITICAL"};

bool same_word(std::string_view text, std::string_view upper) {
  return std::equal(text.begin(), text.end(), upper.begin(), upper.end(), [](char a, char b) {
    return a == b || (a >= 'a' && a <= 'z' && a - 'a' + 'A' == b);
  });
}

}  // namespace

std::string_view to_string(LogLevel level) { return kNames.at(static_cast<std::size_t>(level)); }

std::optional<LogLevel> parse_log_level(std::string_view text) {
  text = strip_line(text);
  for (std::size_t number = 0; number < kNames.size(); ++number) {
    if (same_word(text, kNames[number])) {
      return static_cast<LogLevel>(number);
    }
  }
  return std::nullopt;
}

}  // namespace sluice
