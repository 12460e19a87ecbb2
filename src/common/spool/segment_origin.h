// SegmentOrigin: where the events of a replayed segment come from. Stands in the segment's header
// beside its settings, and from there in the metadata of its objects; shapes neither keys nor
// bodies. A version that does not know it leaves such a segment alone. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sluice {

struct SegmentOrigin {
  std::string file;    // its name without folders; see printable_file_name
  std::string sha256;  // of its content, lower-case hex
  bool operator==(const SegmentOrigin&) const = default;
};

// The settings of a segment's header with the origin added.
std::string with_origin(std::string_view settings, const SegmentOrigin& origin);
// Nothing where there is none, as in every segment that Spool wrote.
std::optional<SegmentOrigin> segment_origin_of(std::string_view settings);

// What may stand in a header of HTTP and in 4 KiB beside the settings: other characters than
// [A-Za-z0-9._-] as %XX, and of a long name its end.
std::string printable_file_name(std::string_view name);

}  // namespace sluice
