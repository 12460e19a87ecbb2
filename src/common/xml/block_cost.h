// The worst case of memory that a block needs in Validate, Convert and Upload together: what
// Rotate charges when it admits one, and what the later stages spend. A formula, not a guess:
// tests/unit/convert holds it against blocks made to be as costly as can be.
#pragma once

#include <algorithm>
#include <cstdint>

#include "common/spool/segment_settings.h"

namespace sluice {

// The factors are per byte of the block's file range, in which a piece takes 12 bytes of table
// beside its own:
//   source    1: the bytes as read
//   accepted 12: tape and output together. A token of the tape is 8 bytes; the densest are `<b/>x`
//                (two in 5 bytes) and ` a=""` (two in 5): 4 at most. A single-byte encoding is
//                transcoded into the tape, 3 at most, and an attribute's value copied once more.
//                Output is 3 at most, in pretty JSON 8, where indentation stops at 16 spaces.
//   rejected 12: a RejectedPiece of some 120 bytes with a reason in some 64, for an event of 6
//   bytes
//                and its 12 in the table; rejected and accepted bytes exclude each other
// Not in here, but once a thread: a parser, a compressor and, for JSON, room to render the largest
// event (48 times MAX_MESSAGE_SIZE at worst, freed behind it).
inline constexpr std::uint64_t kSourceCost = 1;
inline constexpr std::uint64_t kAcceptedCost = 12;
inline constexpr std::uint64_t kRejectedCost = 12;
// Pages and arena chunks that are not full, compressor output that does not shrink.
inline constexpr std::uint64_t kBlockCostFixedBytes = 512 * kKiB;

// `block_bytes`: of the block's file range, block.end - block.begin.
constexpr std::uint64_t block_cost_bytes(const SegmentSettings& /*settings*/,
                                         std::uint64_t block_bytes) {
  return (kSourceCost + std::max(kAcceptedCost, kRejectedCost)) * block_bytes +
         kBlockCostFixedBytes;
}

// Convert's output of events whose root elements, in UTF-8, are `root_bytes` long together:
//   xml:    the same and a separator
//   json:   `<a/>` gives `{"a":""},\n`; an escape doubles a byte at most
//   pretty: of `<a><b/>…`, a line of 16 spaces and `"b": "",` for each
constexpr std::uint64_t output_bytes_max(const SegmentSettings& settings,
                                         std::uint64_t root_bytes) {
  const bool pretty = settings.pretty && settings.format == OutputFormat::json;
  const std::uint64_t factor = pretty ? 8 : 3;
  return (settings.format == OutputFormat::xml ? root_bytes + root_bytes / 4
                                               : factor * root_bytes) +
         kBlockCostFixedBytes / 2;
}

}  // namespace sluice
