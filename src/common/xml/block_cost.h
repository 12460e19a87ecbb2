// The worst case of memory that a block needs in Validate, Convert and Upload together: what
// Rotate charges when it admits one, and what the later stages spend. A formula, not a guess:
// tests/unit/stages/convert_test.cpp holds it against blocks made to be as costly as can be.
#pragma once

#include <algorithm>
#include <cstdint>

#include "common/spool/segment_settings.h"

namespace sluice {

// Per byte of the block's file range, in which a piece takes 12 bytes of table beside its own:
//   source    1: the bytes as read
//   accepted 12: tape and output together. A token of the tape is 8 bytes; the densest are `<b/>x`
//                (two in 5 bytes) and ` a=""` (two in 5): 4 at most. A single-byte encoding is
//                transcoded into the tape, 3 at most, and an attribute's value copied once more.
//                Output is 3 at most, in pretty JSON 8, where indentation stops at 16 spaces.
//   rejected  1: the exact bytes again
// Not in here, but once a thread: a parser, a compressor and, for JSON, room to render the largest
// event (48 times MAX_MESSAGE_SIZE at worst, freed behind it). Log lines: ndjson/log_block_cost.h.
inline constexpr std::uint64_t kSourceCost = 1;
inline constexpr std::uint64_t kAcceptedCost = 12;
inline constexpr std::uint64_t kRejectedCost = 1;
// Per rejected piece, in Upload: its line of `_raw.reasons.jsonl` at the longest (an IPv6 address,
// a reason of 78 bytes), and its part of two vectors that double: 48 bytes in the list of rejected
// pieces, 32 in the spans of the raw object.
inline constexpr std::uint64_t kReasonLineBytesMax = 312;
inline constexpr std::uint64_t kRejectedUploadCost =
    kReasonLineBytesMax + 2 * std::uint64_t{48 + 32};
// And before: a RejectedPiece of 120 bytes, its reason, what the allocator adds to that and to the
// exact bytes.
inline constexpr std::uint64_t kRejectedPieceCost = kRejectedUploadCost + 120 + 96 + 24;
// Of the file range: a table entry and a byte.
inline constexpr std::uint64_t kPieceBytesMin = 13;
// Pages and arena chunks that are not full, compressor output that does not shrink.
inline constexpr std::uint64_t kBlockCostFixedBytes = 512 * kKiB;

// `block_bytes`: of the block's file range, block.end - block.begin; `pieces` that it holds. A byte
// is of an accepted piece or of a rejected one: each rejected piece saves what its bytes would have
// cost accepted.
constexpr std::uint64_t block_cost_bytes(const SegmentSettings& /*settings*/,
                                         std::uint64_t block_bytes, std::uint64_t pieces) {
  static_assert(kAcceptedCost >= kRejectedCost);
  return (kSourceCost + kAcceptedCost) * block_bytes +
         (kRejectedPieceCost - (kAcceptedCost - kRejectedCost) * kPieceBytesMin) * pieces +
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
