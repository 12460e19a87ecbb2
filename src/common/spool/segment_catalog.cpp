#include "common/spool/segment_catalog.h"

#include <algorithm>
#include <charconv>
#include <set>

namespace sluice {
namespace {

constexpr std::string_view kNamePrefix = "seg-";
constexpr std::size_t kHexDigits = 16;

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

std::optional<SegmentId> segment_id_of(std::string_view name, std::string_view suffix) {
  if (name.size() != kNamePrefix.size() + 2 * kHexDigits + 1 + suffix.size() ||
      !name.starts_with(kNamePrefix) || !name.ends_with(suffix) ||
      name[kNamePrefix.size() + kHexDigits] != '-') {
    return std::nullopt;
  }
  const auto num = parse_hex(name.substr(kNamePrefix.size(), kHexDigits));
  const auto uid = parse_hex(name.substr(kNamePrefix.size() + kHexDigits + 1, kHexDigits));
  if (!num || !uid) {
    return std::nullopt;
  }
  return SegmentId{*num, *uid};
}

Result<SegmentListing> list_segments(Filesystem& filesystem, const Path& directory) {
  auto entries = filesystem.list(directory);
  if (!entries) {
    return entries.error();
  }
  SegmentListing listing;
  std::set<SegmentId> seals;
  std::set<SegmentId> companions;
  for (const DirectoryEntry& entry : *entries) {
    const bool regular = entry.info.type == FileType::regular;
    if (const auto id = segment_id_of(entry.name, ".wal")) {
      if (regular) {
        listing.segments.push_back({*id, entry.info.bytes, false});
      } else {
        listing.odd.push_back(entry.name);
      }
    } else if (const auto seal = segment_id_of(entry.name, ".seal")) {
      // Whatever its type: one that cannot be read never counts as absent.
      seals.insert(*seal);
      companions.insert(*seal);
    } else if (const auto rejects = segment_id_of(entry.name, ".rejects")) {
      companions.insert(*rejects);
    } else if (regular && entry.name.starts_with(kNamePrefix) && entry.name.ends_with(".tmp")) {
      listing.leftover.push_back(entry.name);
    }
  }
  std::sort(listing.segments.begin(), listing.segments.end(),
            [](const auto& a, const auto& b) { return a.id < b.id; });
  for (auto& segment : listing.segments) {
    segment.side_seal = seals.contains(segment.id);
    companions.erase(segment.id);
  }
  listing.orphans.assign(companions.begin(), companions.end());
  return listing;
}

}  // namespace sluice
