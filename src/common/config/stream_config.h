// StreamConfig: what one stream takes of the settings, and its part of what all streams share.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/ids.h"
#include "common/config/config.h"
#include "common/spool/segment_settings.h"

namespace sluice {

struct StreamConfig {
  Stream stream = Stream::xml;
  std::string prefix;
  OutputFormat format = OutputFormat::xml;
  bool pretty = false;
  bool upload = true;  // else a segment is unlinked once its lines are in the log file
  bool log_file = false;
  // Told apart by the names of threads, queues, conditions ("logs." before them) and temporary
  // files
  // (".logs" behind them); xml, which was there first, by none.
  std::string scope;
  std::string suffix;
  // Equal parts: of MEMORY_MAX_BYTES, UPLOAD_CONCURRENCY and UPLOAD_BANDWIDTH_MAX.
  std::uint64_t ingest_memory_bytes = 0;
  std::uint64_t egress_memory_bytes = 0;
  std::uint64_t upload_concurrency = 1;
  std::uint64_t upload_bandwidth_max = 0;  // bytes a second, 0: no limit
};

StreamConfig stream_config(const Config& config, Stream stream);
// Of all that PROTOCOLS names, xml first.
std::vector<StreamConfig> stream_configs(const Config& config);

}  // namespace sluice
