#include "common/spool/segment_settings.h"

#include <nlohmann/json.hpp>
#include <set>

namespace sluice {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

template <class Enum>
bool parse_enum(const std::string& text, std::initializer_list<Enum> all, Enum& into) {
  for (const Enum candidate : all) {
    if (to_string(candidate) == text) {
      into = candidate;
      return true;
    }
  }
  return false;
}

const std::set<std::string>& known_keys() {
  static const std::set<std::string> keys = {
      "format",       "pretty",   "compression",     "compression_level",
      "block_bytes",  "prefix",   "event_bytes_max", "quarantine_prefix",
      "date_folders", "instance", "destination",     "converter_version",
  };
  return keys;
}

// Beside the settings: where a replayed segment comes from (segment_origin.h).
constexpr std::string_view kOrigin = "origin";

}  // namespace

std::string_view to_string(OutputFormat format) {
  switch (format) {
    case OutputFormat::xml:
      return "xml";
    case OutputFormat::json:
      return "json";
    case OutputFormat::jsonl:
      break;
  }
  return "jsonl";
}

std::string_view to_string(Compression compression) {
  switch (compression) {
    case Compression::none:
      return "none";
    case Compression::gzip:
      return "gzip";
    case Compression::zstd:
      break;
  }
  return "zstd";
}

std::string to_json(const SegmentSettings& settings) {
  ordered_json out;
  out["format"] = to_string(settings.format);
  out["pretty"] = settings.pretty;
  out["compression"] = to_string(settings.compression);
  out["compression_level"] = settings.compression_level;
  out["block_bytes"] = settings.block_bytes;
  out["event_bytes_max"] = settings.event_bytes_max;
  out["prefix"] = settings.prefix;
  out["quarantine_prefix"] = settings.quarantine_prefix;
  out["date_folders"] = settings.date_folders;
  out["instance"] = settings.instance;
  out["destination"] = settings.destination;
  out["converter_version"] = settings.converter_version;
  return out.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

Result<SegmentSettings> segment_settings_from_json(std::string_view text) {
  SegmentSettings settings;
  try {
    const json in = json::parse(text);
    for (const auto& [key, value] : in.items()) {
      if (!known_keys().contains(key) && key != kOrigin) {
        return rejected("segment settings: unknown key '" + key +
                        "': the segment was written by a newer version");
      }
    }
    if (in.size() - in.count(kOrigin) != known_keys().size() ||
        !parse_enum(in.at("format").get<std::string>(),
                    {OutputFormat::xml, OutputFormat::json, OutputFormat::jsonl},
                    settings.format) ||
        !parse_enum(in.at("compression").get<std::string>(),
                    {Compression::none, Compression::gzip, Compression::zstd},
                    settings.compression)) {
      return rejected("segment settings: a key is missing or its value unknown");
    }
    in.at("pretty").get_to(settings.pretty);
    in.at("compression_level").get_to(settings.compression_level);
    in.at("block_bytes").get_to(settings.block_bytes);
    in.at("event_bytes_max").get_to(settings.event_bytes_max);
    in.at("prefix").get_to(settings.prefix);
    in.at("quarantine_prefix").get_to(settings.quarantine_prefix);
    in.at("date_folders").get_to(settings.date_folders);
    in.at("instance").get_to(settings.instance);
    in.at("destination").get_to(settings.destination);
    in.at("converter_version").get_to(settings.converter_version);
  } catch (const json::exception& problem) {
    return rejected(std::string("segment settings: ") + problem.what());
  }
  return settings;
}

}  // namespace sluice
