// The worst case of memory that a block needs in Validate, Convert and Upload together: what
// Rotate charges when it admits one, and what the later stages spend. A formula, not a guess:
// tests/unit/convert holds it against blocks made to be as costly as can be.
#pragma once

#include <cstdint>

#include "common/spool/segment_settings.h"

namespace sluice {

// All factors are per byte of the block's file range, in which a piece takes at least 10 bytes of
// table beside its own.
//   source    1: the bytes as read
//   tape      4: a token is 8 bytes; the densest are `<b/>x` (two tokens in 5 bytes) and ` a=""`
//                (two in 5); texts in the arena shrink, or grow to 3 where a single-byte encoding
//                is transcoded, and then tokens are spans of the transcoded event
//   output    3: `xml`: a byte of a single-byte encoding is at most 3 of UTF-8
//             3: compact JSON: `<a/>` gives `"a":"",`; an escape doubles a byte at most
//             8: pretty JSON: indentation stops growing at 16 spaces
//   rejected 12: a RejectedPiece of some 110 bytes with a reason of up to 127, for an event of 6
//                bytes and its 10 in the table; rejected and accepted bytes exclude each other
inline constexpr std::uint64_t kSourceCost = 1;
inline constexpr std::uint64_t kTapeCost = 4;
inline constexpr std::uint64_t kOutputCost = 3;
inline constexpr std::uint64_t kPrettyOutputCost = 8;
inline constexpr std::uint64_t kRejectedCost = 12;
// Pages and arena chunks that are not full, compressor output that does not shrink.
inline constexpr std::uint64_t kBlockCostFixedBytes = 512 * kKiB;

// `block_bytes`: of the block's file range, block.end - block.begin.
constexpr std::uint64_t block_cost_bytes(const SegmentSettings& settings,
                                         std::uint64_t block_bytes) {
  const bool pretty = settings.pretty && settings.format == OutputFormat::json;
  const std::uint64_t accepted = kTapeCost + (pretty ? kPrettyOutputCost : kOutputCost);
  const std::uint64_t factor = kSourceCost + (accepted > kRejectedCost ? accepted : kRejectedCost);
  return factor * block_bytes + kBlockCostFixedBytes;
}

}  // namespace sluice
