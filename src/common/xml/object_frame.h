// ObjectFrame: the bytes around and between the blocks of an object, ready to be put beside
// converted blocks: with a compression each part is a gzip member or zstd frame of its own, and
// members and frames concatenate (RFC 1952, 2.2; RFC 8878, 3). A pure function of the settings.
#pragma once

#include <cstdint>
#include <string>

#include "common/spool/segment_settings.h"

namespace sluice {

struct ObjectFrame {
  std::string prefix;              // before the first block that has events
  std::string separator;           // between two blocks that have events
  std::string suffix;              // behind the last one
  std::uint64_t prefix_bytes = 0;  // the same, uncompressed
  std::uint64_t separator_bytes = 0;
  std::uint64_t suffix_bytes = 0;
};

// xml:   <?xml version="1.0" encoding="UTF-8"?>\n<EVENTS>\n  … \n …  \n</EVENTS>\n
// json:  [\n … ,\n … \n]\n
// jsonl: nothing; each line ends its own.
// An empty part stays empty under compression.
ObjectFrame object_frame(const SegmentSettings& settings);

}  // namespace sluice
