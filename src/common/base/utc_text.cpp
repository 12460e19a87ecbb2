#include "common/base/utc_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <ctime>

#include "common/base/check.h"

namespace sluice {
namespace {

std::optional<int> take_number(std::string_view& text, std::size_t digits) {
  int value = 0;
  const std::string_view part = text.substr(0, digits);
  const auto [end, failure] = std::from_chars(part.data(), part.data() + part.size(), value);
  if (part.size() != digits || failure != std::errc() || end != part.data() + digits ||
      part[0] == '-') {
    return std::nullopt;
  }
  text.remove_prefix(digits);
  return value;
}

// "Z", "+01:00" or "-0130" as seconds east.
std::optional<int> zone_seconds(std::string_view text) {
  if (text == "Z") {
    return 0;
  }
  if (text.empty() || (text[0] != '+' && text[0] != '-')) {
    return std::nullopt;
  }
  const int sign = text[0] == '-' ? -1 : 1;
  text.remove_prefix(1);
  const auto hours = take_number(text, 2);
  if (text.starts_with(':')) {
    text.remove_prefix(1);
  }
  const auto minutes = take_number(text, 2);
  if (!hours || !minutes || !text.empty()) {
    return std::nullopt;
  }
  return sign * (*hours * 3600 + *minutes * 60);
}

}  // namespace

std::string utc_seconds(WallTime time) {
  const auto seconds = static_cast<std::time_t>(
      std::chrono::floor<std::chrono::seconds>(time.time_since_epoch()).count());
  std::tm broken_down{};
  CHECK_THAT(::gmtime_r(&seconds, &broken_down) != nullptr);
  std::array<char, 32> text{};
  const std::size_t length =
      std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &broken_down);
  CHECK_THAT(length > 0);
  return {text.data(), length};
}

std::string utc_milliseconds(WallTime time) {
  const auto milliseconds =
      std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch()).count() % 1000;
  std::array<char, 8> fraction{};
  std::snprintf(fraction.data(), fraction.size(), ".%03dZ", static_cast<int>(milliseconds));
  std::string text = utc_seconds(time);
  text.pop_back();
  return text + fraction.data();
}

void append_utc_microseconds(WallTime time, std::string& out) {
  const auto microseconds = std::chrono::floor<std::chrono::microseconds>(time);
  const auto days = std::chrono::floor<std::chrono::days>(microseconds);
  const std::chrono::year_month_day date(days);
  const std::chrono::hh_mm_ss of_day(microseconds - days);
  std::array<char, kUtcMicrosecondsLength> text;
  char* to = text.data();
  const auto put = [&to](std::int64_t number, int digits, char behind) {
    for (int digit = digits; digit-- > 0; number /= 10) {
      to[digit] = static_cast<char>('0' + number % 10);
    }
    to[digits] = behind;
    to += digits + 1;
  };
  put(static_cast<int>(date.year()), 4, '-');  // WallTime ends in 2262
  put(static_cast<unsigned>(date.month()), 2, '-');
  put(static_cast<unsigned>(date.day()), 2, 'T');
  put(of_day.hours().count(), 2, ':');
  put(of_day.minutes().count(), 2, ':');
  put(of_day.seconds().count(), 2, '.');
  put(of_day.subseconds().count(), 6, 'Z');
  out.append(text.data(), text.size());
}

std::optional<WallTime> parse_utc_milliseconds(std::string_view text) {
  const auto seconds = parse_iso8601(text);
  const std::size_t point = text.find('.');
  unsigned milliseconds = 0;
  if (point != std::string_view::npos && text.size() >= point + 4) {
    std::from_chars(text.data() + point + 1, text.data() + point + 4, milliseconds);
  }
  return seconds ? std::optional(*seconds + std::chrono::milliseconds(milliseconds)) : std::nullopt;
}

std::optional<WallTime> parse_iso8601(std::string_view text) {
  std::tm utc{};
  const auto take = [&text](int& into, std::size_t digits, std::string_view before, int least,
                            int most) {
    if (!text.starts_with(before)) {
      return false;
    }
    text.remove_prefix(before.size());
    const auto value = take_number(text, digits);
    into = value.value_or(0);
    return value && into >= least && into <= most;
  };
  if (!take(utc.tm_year, 4, "", 1970, 9999) || !take(utc.tm_mon, 2, "-", 1, 12) ||
      !take(utc.tm_mday, 2, "-", 1, 31) || !take(utc.tm_hour, 2, "T", 0, 23) ||
      !take(utc.tm_min, 2, ":", 0, 59) || !take(utc.tm_sec, 2, ":", 0, 60)) {
    return std::nullopt;
  }
  if (text.starts_with('.')) {  // a fraction of a second is rounded down
    text.remove_prefix(std::min(text.find_first_not_of("0123456789", 1), text.size()));
  }
  const auto zone = zone_seconds(text);
  if (!zone) {
    return std::nullopt;
  }
  utc.tm_year -= 1900;
  utc.tm_mon -= 1;
  return wall_time_of(::timegm(&utc) - *zone);
}

}  // namespace sluice
