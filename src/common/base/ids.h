// Identities that are shared between stages and files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sluice {

using ConnectionId = std::uint64_t;  // unique within a process, from 1

enum class Stream : std::uint8_t { xml = 1, logs = 2 };

inline std::string_view to_string(Stream stream) { return stream == Stream::xml ? "xml" : "logs"; }

// A segment's number orders it; its random uid makes its keys unique for ever.
struct SegmentId {
  std::uint64_t num = 0;
  std::uint64_t uid = 0;
  auto operator<=>(const SegmentId&) const = default;
};

// "<num:016x>-<uid:016x>", as in file names and keys.
std::string to_string(const SegmentId& id);
inline constexpr std::size_t kSegmentIdBytes = 33;
// Nothing for any other text.
std::optional<SegmentId> parse_segment_id(std::string_view text);

// Sequence of an event: segment number * 2^32 + index of the piece in its segment.
inline std::uint64_t sequence_of(std::uint64_t segment_num, std::uint32_t index) {
  return (segment_num << 32U) | index;
}

}  // namespace sluice
