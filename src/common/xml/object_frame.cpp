#include "common/xml/object_frame.h"

#include <string_view>

#include "common/base/buffer.h"
#include "common/compress/compressor.h"

namespace sluice {

ObjectFrame object_frame(const SegmentSettings& settings) {
  std::string_view prefix;
  std::string_view separator;
  std::string_view suffix;
  switch (settings.format) {
    case OutputFormat::xml:
      prefix = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<EVENTS>\n";
      separator = "\n";
      suffix = "\n</EVENTS>\n";
      break;
    case OutputFormat::json:
      prefix = "[\n";
      separator = ",\n";
      suffix = "\n]\n";
      break;
    case OutputFormat::jsonl:
      break;
  }
  const auto made = [&settings](std::string_view text) {
    return compress(as_bytes(text), settings.compression, settings.compression_level);
  };
  return {made(prefix),  made(separator),  made(suffix),
          prefix.size(), separator.size(), suffix.size()};
}

}  // namespace sluice
