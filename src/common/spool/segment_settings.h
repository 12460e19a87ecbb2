// SegmentSettings: everything outside a segment's events that shapes the keys and bytes of the
// objects made from it. Written into the segment's header when it is created, so that a restart
// with other settings, or another version, still makes the same objects from an old segment.
#pragma once

#include <cstdint>
#include <string>

#include "common/base/result.h"
#include "common/base/units.h"

namespace sluice {

enum class OutputFormat : std::uint8_t { xml, json, jsonl };
enum class Compression : std::uint8_t { none, gzip, zstd };

// The version of the converter: raise it with any change of the bytes that the same events give,
// and of what is rejected.
inline constexpr std::uint32_t kConverterVersion = 1;

struct SegmentSettings {
  OutputFormat format = OutputFormat::xml;
  bool pretty = false;
  Compression compression = Compression::none;
  int compression_level = 0;
  std::uint32_t block_bytes = 4 * kMiB;
  std::uint64_t event_bytes_max = kMiB;  // MAX_MESSAGE_SIZE
  std::string prefix = "xml-events/";
  std::string quarantine_prefix = "quarantine/";
  bool date_folders = false;
  std::string instance;     // instance id, part of every key
  std::string destination;  // "s3://bucket@endpoint" or "file:///directory"
  std::uint32_t converter_version = kConverterVersion;
  bool operator==(const SegmentSettings&) const = default;
};

std::string_view to_string(OutputFormat format);
std::string_view to_string(Compression compression);

// One line of JSON with a fixed order of keys.
std::string to_json(const SegmentSettings& settings);
// Unknown keys are an error: they come from a version that knows more than we do.
Result<SegmentSettings> segment_settings_from_json(std::string_view json);

}  // namespace sluice
