#include "common/s3/object_key.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>

#include "common/base/check.h"

namespace sluice {
namespace {

constexpr std::size_t kPrefixBytesMax = 512;
constexpr std::size_t kInstanceBytesMax = 64;

struct KeyTime {
  std::string date_folders;  // "YYYY/MM/DD/"
  std::string stamp;         // "YYYYMMDD_HHMMSS"
};

KeyTime key_time(WallTime time) {
  const auto seconds = static_cast<std::time_t>(
      std::chrono::floor<std::chrono::seconds>(time.time_since_epoch()).count());
  std::tm utc{};
  CHECK_THAT(::gmtime_r(&seconds, &utc) != nullptr);
  std::array<char, 32> folders{};
  std::array<char, 32> stamp{};
  CHECK_THAT(std::strftime(folders.data(), folders.size(), "%Y/%m/%d/", &utc) > 0);
  CHECK_THAT(std::strftime(stamp.data(), stamp.size(), "%Y%m%d_%H%M%S", &utc) > 0);
  return {folders.data(), stamp.data()};
}

std::string_view format_suffix(OutputFormat format) {
  switch (format) {
    case OutputFormat::xml:
      return ".xml";
    case OutputFormat::json:
      return ".json";
    case OutputFormat::jsonl:
      return ".jsonl";
  }
  return "";
}

std::string_view compression_suffix(Compression compression) {
  switch (compression) {
    case Compression::none:
      return "";
    case Compression::gzip:
      return ".gz";
    case Compression::zstd:
      return ".zst";
  }
  return "";
}

bool cut_suffix(std::string_view& name, std::string_view suffix) {
  const bool has = name.ends_with(suffix);
  name.remove_suffix(has ? suffix.size() : 0);
  return has;
}

bool is_utf8(std::string_view text) {
  std::size_t i = 0;
  while (i < text.size()) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t more = lead < 0x80   ? 0
                             : lead < 0xC2 ? 4
                             : lead < 0xE0 ? 1
                             : lead < 0xF0 ? 2
                             : lead < 0xF5 ? 3
                                           : 4;
    if (more == 4 || i + more >= text.size()) {
      return false;
    }
    for (std::size_t k = 1; k <= more; ++k) {
      if ((static_cast<unsigned char>(text[i + k]) & 0xC0U) != 0x80) {
        return false;
      }
    }
    i += more + 1;
  }
  return true;
}

}  // namespace

ObjectKeys object_keys(const SegmentSettings& settings, const SegmentIdentity& segment) {
  const KeyTime time = key_time(segment.first_received_at);
  const std::string name = (settings.date_folders ? time.date_folders : std::string()) +
                           time.stamp + "_" + settings.instance + "_" + to_string(segment.id);
  const std::string raw = settings.quarantine_prefix + name + "_raw";
  ObjectKeys keys;
  keys.data = settings.prefix + name;
  keys.data += format_suffix(settings.format);
  keys.data += compression_suffix(settings.compression);
  keys.raw = raw + (segment.stream == Stream::xml ? ".xml" : ".log");
  keys.reasons = raw + ".reasons.jsonl";
  keys.segment = settings.quarantine_prefix + name + "_segment";
  return keys;
}

std::optional<ObjectKeyParts> parse_object_key(std::string_view key) {
  constexpr std::size_t kStampBytes = 16;  // "YYYYMMDD_HHMMSS_"
  std::string_view name = key.substr(key.rfind('/') + 1);
  ObjectKeyParts parts;
  if (cut_suffix(name, "_raw.reasons.jsonl")) {
    parts.object = "reasons";
  } else if (cut_suffix(name, "_raw.xml") || cut_suffix(name, "_raw.log")) {
    parts.object = "raw";
  } else if (cut_suffix(name, "_segment")) {
    parts.object = "segment";
  } else {
    (void)(cut_suffix(name, ".gz") || cut_suffix(name, ".zst"));
    if (!cut_suffix(name, ".xml") && !cut_suffix(name, ".json") && !cut_suffix(name, ".jsonl")) {
      return std::nullopt;
    }
    parts.object = "data";
  }
  if (name.size() <= kStampBytes + 1 + kSegmentIdBytes ||
      name[name.size() - kSegmentIdBytes - 1] != '_') {
    return std::nullopt;
  }
  const auto id = parse_segment_id(name.substr(name.size() - kSegmentIdBytes));
  if (!id) {
    return std::nullopt;
  }
  parts.segment = *id;
  parts.instance = name.substr(kStampBytes, name.size() - kStampBytes - kSegmentIdBytes - 1);
  return parts;
}

std::string_view content_type(OutputFormat format) {
  switch (format) {
    case OutputFormat::xml:
      return "application/xml";
    case OutputFormat::json:
      return "application/json";
    case OutputFormat::jsonl:
      return "application/x-ndjson";
  }
  return "application/octet-stream";
}

Status validate_key_prefix(std::string_view prefix) {
  const auto refuse = [&](std::string_view why) {
    return rejected("prefix \"" + std::string(prefix.substr(0, 80)) + "\": " + std::string(why));
  };
  if (prefix.size() > kPrefixBytesMax) {
    return refuse("over 512 bytes");
  }
  const auto is_control = [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7F || c == '\\';
  };
  if (std::any_of(prefix.begin(), prefix.end(), is_control)) {
    return rejected("prefix: a control character or backslash in it");
  }
  if (!is_utf8(prefix)) {
    return rejected("prefix: not valid UTF-8");
  }
  if (prefix.starts_with('/')) {
    return refuse("must not begin with '/'");
  }
  for (std::size_t begin = 0; begin < prefix.size();) {
    const std::size_t end = std::min(prefix.find('/', begin), prefix.size());
    const std::string_view component = prefix.substr(begin, end - begin);
    if (component.empty() || component == "." || component == "..") {
      return refuse("an empty, '.' or '..' component in it");
    }
    begin = end + 1;
  }
  return {};
}

Status validate_instance(std::string_view instance) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_';
  };
  if (instance.empty() || instance.size() > kInstanceBytesMax || instance.front() == '.' ||
      instance.front() == '-' || !std::all_of(instance.begin(), instance.end(), allowed)) {
    return rejected(
        "instance id: must be 1 to 64 characters of [A-Za-z0-9._-] and begin with a letter, a "
        "digit "
        "or '_'");
  }
  return {};
}

}  // namespace sluice
