// A line of `_raw.reasons.jsonl`: where a piece lies in the `_raw` file beside it, whose it was and
// why it is there. Pure; docs/architecture.md has the object, `sluice spool export` writes it too.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/base/units.h"
#include "common/net/peer_address.h"

namespace sluice {

struct ReasonLine {
  struct Position {  // of the parser, 1-based; 0 unknown
    std::uint32_t line = 0;
    std::uint32_t column = 0;
  };
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  PeerAddress peer;
  WallTime received_at{};  // milliseconds
  std::string reason;      // empty: it was not rejected
  std::optional<Position> position = {};
  std::uint64_t sequence = 0;
  bool continues = false;
  std::optional<SegmentId> segment = {};  // that it was exported of
};

// With its line feed.
std::string to_json(const ReasonLine& line);
// Rejected, with a sentence: a field that is needed to bring the piece back is missing.
Result<ReasonLine> reason_line_from_json(std::string_view text);

}  // namespace sluice
