// A small file whose content stands in it twice, so that one bad sector loses nothing: side seals,
// lists of rejects, and positions in log files (which belong to no segment: id 0). Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/ids.h"

namespace sluice {

enum class TwinKind : std::uint8_t { seal = 1, rejects = 2, log_position = 3 };

std::string encode_twin(TwinKind kind, const SegmentId& id, std::string_view payload);
// The payload from the first copy that verifies as this kind for this segment.
std::optional<std::string> decode_twin(TwinKind kind, const SegmentId& id,
                                       std::string_view content);

}  // namespace sluice
