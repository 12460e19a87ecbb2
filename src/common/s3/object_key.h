// The names of a segment's objects: a function of the segment's own settings, its id and the time
// at which its first record was received, so that every restart, on any version, gives the same.
// Nothing that a client sends becomes part of a name.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/base/units.h"
#include "common/spool/segment_settings.h"

namespace sluice {

struct ObjectKeys {
  std::string
      data;  // <prefix>[YYYY/MM/DD/]<YYYYMMDD_HHMMSS>_<instance>_<num>-<uid>.<format>[.gz|.zst]
  std::string raw;      // <quarantine prefix>…_raw.xml: the exact bytes of the rejected pieces
  std::string reasons;  // <quarantine prefix>…_raw.reasons.jsonl: a line a piece
  std::string segment;  // <quarantine prefix>…_segment: the segment itself, where it crashes us
};

struct SegmentIdentity {
  SegmentId id;
  Stream stream = Stream::xml;
  WallTime first_received_at{};
};

ObjectKeys object_keys(const SegmentSettings& settings, const SegmentIdentity& segment);

// What object_keys() made a key of.
struct ObjectKeyParts {
  std::string instance;
  SegmentId segment;
  std::string_view object;  // "data", "raw", "reasons" or "segment"
};
// Nothing for any other key.
std::optional<ObjectKeyParts> parse_object_key(std::string_view key);

// Of the data object: "application/xml", "application/json" or "application/x-ndjson".
std::string_view content_type(OutputFormat format);

// Rejects a prefix that cannot be part of a key everywhere: over 512 bytes, absolute, with an
// empty,
// "." or ".." component, a control character, or no valid UTF-8.
Status validate_key_prefix(std::string_view prefix);
// Rejects an instance id that is not 1 to 64 characters of [A-Za-z0-9._-], beginning with none of
// '.', '-'.
Status validate_instance(std::string_view instance);

}  // namespace sluice
