#include "common/ndjson/rotated_logs.h"

#include <algorithm>
#include <charconv>

#include "common/base/utc_text.h"

namespace sluice {
namespace {

constexpr std::size_t kStampBytes = 15;
constexpr std::size_t kStampDateBytes = 8;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_stamp(std::string_view text) {
  if (text.size() != kStampBytes) {
    return false;
  }
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (i == kStampDateBytes ? text[i] != '_' : !is_digit(text[i])) {
      return false;
    }
  }
  return true;
}

// "2026-11-21T09:14:07Z" as "20261121_091407".
std::string stamp_of(WallTime time) {
  std::string stamp;
  for (const char c : utc_seconds(time)) {
    if (is_digit(c)) {
      stamp += c;
    } else if (c == 'T') {
      stamp += '_';
    }
  }
  return stamp;
}

}  // namespace

std::optional<RotatedLog> parse_rotated_name(std::string_view log_name, std::string_view name) {
  if (!name.starts_with(log_name)) {
    return std::nullopt;
  }
  std::string_view rest = name.substr(log_name.size());
  if (!rest.starts_with('.') || !is_stamp(rest.substr(1, kStampBytes))) {
    return std::nullopt;
  }
  RotatedLog rotated{.stamp = std::string(rest.substr(1, kStampBytes))};
  rest.remove_prefix(1 + kStampBytes);
  if (rest.empty()) {
    return rotated;
  }
  const std::string_view digits = rest.substr(1);
  const auto [end, failure] =
      std::from_chars(digits.data(), digits.data() + digits.size(), rotated.n);
  if (failure != std::errc() || rotated_name(log_name, rotated) != name) {
    return std::nullopt;
  }
  return rotated;
}

std::string rotated_name(std::string_view log_name, const RotatedLog& rotated) {
  std::string name = std::string(log_name) + '.' + rotated.stamp;
  if (rotated.n > 0) {
    name += '.' + std::to_string(rotated.n);
  }
  return name;
}

RotatedLog next_rotated(const std::optional<RotatedLog>& newest, WallTime now) {
  RotatedLog next{.stamp = stamp_of(now)};
  return newest && *newest >= next ? RotatedLog{newest->stamp, newest->n + 1} : next;
}

Result<std::vector<RotatedLog>> rotated_logs(Filesystem& filesystem, const Path& log) {
  auto entries = filesystem.list(log.parent_path());
  if (!entries) {
    return entries.error();
  }
  std::vector<RotatedLog> found;
  for (const DirectoryEntry& entry : *entries) {
    auto rotated = parse_rotated_name(log.filename().string(), entry.name);
    if (rotated && entry.info.type == FileType::regular) {
      found.push_back(std::move(*rotated));
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace sluice
