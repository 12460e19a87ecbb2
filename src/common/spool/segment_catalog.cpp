#include "common/spool/segment_catalog.h"

#include <algorithm>
#include <set>

namespace sluice {
namespace {

constexpr std::string_view kNamePrefix = "seg-";

}  // namespace

std::optional<SegmentId> segment_id_of(std::string_view name, std::string_view suffix) {
  if (name.size() < kNamePrefix.size() + suffix.size() || !name.starts_with(kNamePrefix) ||
      !name.ends_with(suffix)) {
    return std::nullopt;
  }
  name.remove_prefix(kNamePrefix.size());
  name.remove_suffix(suffix.size());
  return parse_segment_id(name);
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
