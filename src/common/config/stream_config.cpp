#include "common/config/stream_config.h"

#include <algorithm>

namespace sluice {
namespace {

std::uint64_t part_of(std::uint64_t whole, std::size_t parts) {
  return whole == 0 ? 0 : std::max<std::uint64_t>(1, whole / parts);
}

}  // namespace

StreamConfig stream_config(const Config& config, Stream stream) {
  const std::size_t parts = std::max<std::size_t>(1, config.streams().size());
  StreamConfig own;
  own.stream = stream;
  own.ingest_memory_bytes = config.ingest_memory_bytes();
  own.egress_memory_bytes = config.egress_memory_bytes();
  own.upload_concurrency = part_of(config.upload_concurrency, parts);
  own.upload_bandwidth_max = part_of(config.upload_bandwidth_max, parts);
  if (stream == Stream::logs) {
    own.scope = "logs.";
    own.suffix = ".logs";
    own.prefix = config.logs_prefix;
    own.format = OutputFormat::jsonl;
    own.upload = config.logs_upload;
    own.log_file = config.log_persistence;
  } else {
    own.prefix = config.prefix;
    own.format = config.output_format;
    own.pretty = config.pretty_print_json;
  }
  return own;
}

std::vector<StreamConfig> stream_configs(const Config& config) {
  std::vector<StreamConfig> all;
  for (const Stream stream : config.streams()) {
    all.push_back(stream_config(config, stream));
  }
  return all;
}

}  // namespace sluice
