// SegmentState: what a segment file is, from O(1) of its bytes and its side seal.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "common/platform/filesystem.h"
#include "common/spool/segment_format.h"
#include "common/spool/segment_reader.h"
#include "common/spool/segment_settings.h"

namespace sluice {

struct SegmentState {
  enum class Kind : std::uint8_t {
    sealed,    // header, settings and seal are valid
    unsealed,  // header and settings are valid; records, to be scanned
    empty,     // holds no record and never did
    unusable,  // neither: to be set aside, for `reason`
    newer,     // written by a newer program: to be left alone
  };
  Kind kind = Kind::unusable;
  SegmentHeader header;
  SegmentSettings settings;
  SegmentSeal seal;
  std::string reason;
  std::unique_ptr<File> file;  // open for reading
};

// Blocks. Fatal: the file cannot be opened or read now, which says nothing about what it is.
Result<SegmentState> inspect_segment(Filesystem& filesystem, const Path& directory,
                                     const SegmentId& id);

// Of a sealed or unsealed one: the ranges that hold records; of an unsealed one all there is.
Result<std::vector<KeptRange>> record_ranges(const SegmentState& state);
// Reads these, a block at a time, so that a large segment takes little memory. Ends at an error.
Status for_each_block(const SegmentState& state,
                      const std::function<Status(const RecordBlock&)>& visit);

}  // namespace sluice
