// The worst case of memory that a block of log lines needs in Validate, Convert and Upload
// together, as common/xml/block_cost.h is of events.
#pragma once

#include <cstdint>

#include "common/ndjson/line_renderer.h"
#include "common/xml/block_cost.h"

namespace sluice {

// Of a block's file range, and the pieces that it holds: the source; each line as it goes into the
// object, once in the tape and once in the output; or the worst that a rejected piece costs.
// Not in here, but once a thread: what LineRenderer keeps, up to 30 bytes a byte of the longest
// line.
constexpr std::uint64_t log_block_cost_bytes(std::uint64_t block_bytes, std::uint64_t pieces) {
  constexpr std::uint64_t kTapeEvent = 16;
  // A line and its table entry are at least kPieceBytesMin of the block.
  const std::uint64_t lines = jsonl_bytes_max(block_bytes) - jsonl_bytes_max(0) +
                              pieces * (jsonl_bytes_max(0) + kTapeEvent);
  return kSourceCost * block_bytes + 2 * lines + kRejectedPieceCost * pieces + kBlockCostFixedBytes;
}

// Convert's output of lines that are `bytes` long together in the tape.
constexpr std::uint64_t log_output_bytes_max(std::uint64_t bytes) {
  return bytes + bytes / 4 + kBlockCostFixedBytes / 2;
}

}  // namespace sluice
