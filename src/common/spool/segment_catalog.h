// What lies in a stream's folder: segments by name, and what is not one. Nothing is opened.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/platform/filesystem.h"
#include "common/spool/segment_format.h"

namespace sluice {

// The id in "seg-<num:016x>-<uid:016x><suffix>"; nothing for any other name.
std::optional<SegmentId> segment_id_of(std::string_view name, std::string_view suffix);

struct SegmentListing {
  struct Segment {
    SegmentId id;
    std::uint64_t bytes = 0;
    bool side_seal = false;  // a .seal lies beside it
  };
  std::vector<Segment> segments;      // regular .wal files, ascending by id
  std::vector<SegmentId> orphans;     // a .seal or .rejects without a .wal
  std::vector<std::string> leftover;  // temporary files of a write that did not end
  std::vector<std::string> odd;       // named like a segment, but a FIFO, link or directory
};

Result<SegmentListing> list_segments(Filesystem& filesystem, const Path& directory);

}  // namespace sluice
