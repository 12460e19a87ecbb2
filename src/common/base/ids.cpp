#include "common/base/ids.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cinttypes>
#include <cstdio>

namespace sluice {
namespace {

constexpr std::size_t kHexDigits = 16;

// Lower case only: what to_string() writes.
std::optional<std::uint64_t> parse_hex(std::string_view digits) {
  std::uint64_t value = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  const bool lower =
      std::none_of(digits.begin(), digits.end(), [](char c) { return c >= 'A' && c <= 'F'; });
  if (error != std::errc() || end != digits.data() + digits.size() || !lower) {
    return std::nullopt;
  }
  return value;
}

}  // namespace

std::string to_string(const SegmentId& id) {
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%016" PRIx64 "-%016" PRIx64, id.num, id.uid);
  return text.data();
}

std::optional<SegmentId> parse_segment_id(std::string_view text) {
  if (text.size() != kSegmentIdBytes || text[kHexDigits] != '-') {
    return std::nullopt;
  }
  const auto num = parse_hex(text.substr(0, kHexDigits));
  const auto uid = parse_hex(text.substr(kHexDigits + 1));
  if (!num || !uid) {
    return std::nullopt;
  }
  return SegmentId{*num, *uid};
}

}  // namespace sluice
