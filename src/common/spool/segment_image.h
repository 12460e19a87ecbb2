// A segment as one file that needs none beside it: its bytes up to the end of what counts, and a
// SEAL record. Of a segment that ends with its own it is the file as it is; of one that was
// abandoned or recovered, the file as it would be had its writer ended it there. Where nobody has
// read what the segment holds (nothing is kept), it is the whole file.
#pragma once

#include <cstdint>
#include <span>

#include "common/platform/filesystem.h"
#include "common/spool/segment_format.h"

namespace sluice {

std::uint64_t image_bytes(const SegmentSeal& seal);

// The bytes from `offset` on; all of `into` must be within the image. Pages that the disk refuses,
// and what the file has lost, come as zeros. Blocks. Fatal: it cannot be read for another reason.
Status read_image(const File& file, const SegmentHeader& header, const SegmentSeal& seal,
                  std::uint64_t offset, std::span<std::byte> into);

}  // namespace sluice
