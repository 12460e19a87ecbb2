#include "common/config/value_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <utility>
#include <vector>

namespace sluice {

namespace {

struct ByteUnit {
  std::string_view name;
  std::uint64_t bytes;
};
constexpr std::array<ByteUnit, 4> kByteUnits{
    {{"TiB", 1ULL << 40U}, {"GiB", 1ULL << 30U}, {"MiB", 1ULL << 20U}, {"KiB", 1ULL << 10U}}};

}  // namespace

std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return lower;
}

bool list_has(std::string_view list, std::string_view entry) {
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(','), list.size());
    if (list.substr(0, end) == entry) {
      return true;
    }
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return false;
}

std::string quotable_text(std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string quotable;
  for (const char c : text) {
    const auto value = static_cast<unsigned char>(c);
    if (value < 0x20 || value == 0x7F) {
      quotable += "\\x";
      quotable += kHex[value >> 4U];
      quotable += kHex[value & 15U];
    } else {
      quotable += c;
    }
  }
  return quotable;
}

std::optional<std::uint64_t> parse_count(std::string_view text) {
  std::uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || error != std::errc() || stopped != end) {
    return std::nullopt;
  }
  return value;
}

std::optional<std::uint64_t> parse_bytes(std::string_view text) {
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto number = parse_count(text.substr(0, digits));
  std::string_view suffix = text.substr(digits);
  if (!number || suffix.empty()) {
    return number;
  }
  if (suffix.front() == ' ') {
    suffix.remove_prefix(1);
  }
  for (const ByteUnit& unit : kByteUnits) {
    if (lower_case(suffix) == lower_case(unit.name)) {
      if (*number > std::numeric_limits<std::uint64_t>::max() / unit.bytes) {
        return std::nullopt;
      }
      return *number * unit.bytes;
    }
  }
  return std::nullopt;
}

std::string bytes_text(std::uint64_t bytes) {
  for (const ByteUnit& unit : kByteUnits) {
    if (bytes != 0 && bytes % unit.bytes == 0) {
      return std::to_string(bytes / unit.bytes) + std::string(unit.name);
    }
  }
  return std::to_string(bytes);
}

std::optional<bool> parse_flag(std::string_view text) {
  const std::string lower = lower_case(text);
  for (const std::string_view yes : {"true", "1", "yes", "on"}) {
    if (lower == yes) {
      return true;
    }
  }
  for (const std::string_view no : {"false", "0", "no", "off"}) {
    if (lower == no) {
      return false;
    }
  }
  return std::nullopt;
}

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text,
                                                        std::chrono::milliseconds unit) {
  // In whole numbers, so that what is written is exactly what is meant.
  constexpr std::uint64_t kMostUnits = 1'000'000'000;
  const std::size_t point = std::min(text.find('.'), text.size());
  const auto whole = parse_count(text.substr(0, point));
  if (!whole || *whole > kMostUnits) {
    return std::nullopt;
  }
  const auto unit_ms = static_cast<std::uint64_t>(unit.count());
  std::uint64_t total = *whole * unit_ms;
  if (point < text.size()) {
    const std::string_view digits = text.substr(point + 1);
    const auto fraction = parse_count(digits);
    if (!fraction || digits.size() > 6) {
      return std::nullopt;
    }
    std::uint64_t scale = 1;
    for (std::size_t i = 0; i < digits.size(); ++i) {
      scale *= 10;
    }
    if (*fraction * unit_ms % scale != 0) {
      return std::nullopt;
    }
    total += *fraction * unit_ms / scale;
  }
  return std::chrono::milliseconds(total);
}

std::string duration_text(std::chrono::milliseconds duration, std::chrono::milliseconds unit) {
  std::string text = std::to_string(duration / unit);
  auto rest = (duration % unit).count();
  if (rest == 0) {
    return text;
  }
  text += '.';
  for (int digits = 0; rest != 0 && digits < 6; ++digits) {
    rest *= 10;
    text += static_cast<char>('0' + rest / unit.count());
    rest %= unit.count();
  }
  return text;
}

std::size_t edit_distance(std::string_view left, std::string_view right) {
  std::vector<std::size_t> row(right.size() + 1);
  for (std::size_t j = 0; j <= right.size(); ++j) {
    row[j] = j;
  }
  for (std::size_t i = 1; i <= left.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= right.size(); ++j) {
      const std::size_t change = diagonal + (left[i - 1] == right[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({change, row[j] + 1, row[j - 1] + 1}));
    }
  }
  return row.back();
}

}  // namespace sluice
