#include "commands/server_reports.h"

#include <chrono>
#include <set>

#include "common/base/utc_text.h"
#include "common/log/log.h"
#include "common/spool/segment_catalog.h"

namespace sluice {
namespace {

nlohmann::json memory_of(const MemoryBudget& budget) {
  return {
      {"used", budget.bytes_used()}, {"peak", budget.bytes_peak()}, {"max", budget.bytes_max()}};
}

std::vector<QueueLevel> queues_of(const HalvesOf& halves) {
  std::vector<QueueLevel> levels;
  if (halves.ingest != nullptr) {
    levels = halves.ingest->queues();
  }
  if (halves.egress != nullptr) {
    for (QueueLevel& level : halves.egress->queues()) {
      levels.push_back(std::move(level));
    }
  }
  if (halves.rpc != nullptr) {
    levels = halves.rpc->queues();
  }
  for (QueueLevel& level : levels) {
    level.name.insert(0, halves.scope);
  }
  return levels;
}

}  // namespace

nlohmann::json memory_to_json(const HalvesOf& halves) {
  nlohmann::json memory = nlohmann::json::object();
  if (halves.ingest != nullptr) {
    memory[halves.scope + "ingest"] = memory_of(halves.ingest->memory());
  }
  if (halves.egress != nullptr) {
    memory[halves.scope + "egress"] = memory_of(halves.egress->memory());
  }
  if (halves.rpc != nullptr) {
    memory[halves.scope + "ingest"] = memory_of(halves.rpc->memory());
  }
  return memory;
}

nlohmann::json queues_to_json(const HalvesOf& halves) {
  nlohmann::json queues = nlohmann::json::array();
  for (const QueueLevel& level : queues_of(halves)) {
    queues.push_back({{"name", level.name}, {"size", level.size}, {"capacity", level.capacity}});
  }
  return queues;
}

nlohmann::json threads_to_json(const HalvesOf& halves) {
  nlohmann::json threads = nlohmann::json::array();
  const MonotonicTime now = std::chrono::steady_clock::now();
  for (const Pipeline* pipeline : {halves.ingest == nullptr ? nullptr : &halves.ingest->pipeline(),
                                   halves.egress == nullptr ? nullptr : &halves.egress->pipeline(),
                                   halves.rpc == nullptr ? nullptr : &halves.rpc->pipeline()}) {
    if (pipeline != nullptr) {
      for (auto& thread : threads_to_json(*pipeline, now)) {
        threads.push_back(std::move(thread));
      }
    }
  }
  return threads;
}

nlohmann::json credentials_to_json(const CredentialReport& report) {
  const auto text = [](const std::string& known) {
    return known.empty() ? nlohmann::json() : nlohmann::json(known);
  };
  const CredentialOrigin origin = report.origin.value_or(CredentialOrigin{});
  return {{"source", text(origin.source)},
          {"for", text(origin.identity)},
          {"key_id_end", text(origin.key_id_end)},
          {"expires_at", text(origin.expires_at ? utc_seconds(*origin.expires_at) : "")},
          {"error", text(report.error)}};
}

void add_credential_metrics(MetricsPage& page, const CredentialReport& report) {
  if (report.origin && report.origin->expires_at) {
    page.gauge(
        "sluice_credentials_expire_timestamp_seconds",
        "Unix time at which the credentials for the store expire", {},
        std::chrono::duration<double>(report.origin->expires_at->time_since_epoch()).count());
  }
}

void add_half_metrics(MetricsPage& page, const HalvesOf& halves) {
  for (const QueueLevel& level : queues_of(halves)) {
    page.gauge("sluice_queue_items", "items in a queue", {{"queue", level.name}},
               static_cast<double>(level.size));
  }
  const auto add_memory = [&](const char* half, const MemoryBudget& budget) {
    const MetricsPage::Labels labels{{"half", halves.scope + half}};
    page.gauge("sluice_memory_used_bytes", "of a half's share of MEMORY_MAX_BYTES", labels,
               static_cast<double>(budget.bytes_used()));
    page.gauge("sluice_memory_max_bytes", "a half's share of MEMORY_MAX_BYTES", labels,
               static_cast<double>(budget.bytes_max()));
  };
  if (halves.ingest != nullptr) {
    add_memory("ingest", halves.ingest->memory());
  }
  if (halves.egress != nullptr) {
    add_memory("egress", halves.egress->memory());
  }
  if (halves.rpc != nullptr) {
    add_memory("ingest", halves.rpc->memory());
  }
}

void close_books(const StreamDirectory& stream, Books& books) {
  const auto listing = list_segments(stream.filesystem(), stream.path());
  if (!listing) {
    log::warning("spool not listed", {{"error", listing.error().message}});
    return;
  }
  std::set<std::uint64_t> there;
  for (const auto& segment : listing->segments) {
    there.insert(segment.id.num);
  }
  for (const auto& [num, pieces] : stream.pieces_by_num) {
    books.pieces_in_spool -= there.contains(num) ? 0 : pieces;
  }
}

std::uint64_t segment_file_bytes_max(const Config& config) {
  constexpr std::uint64_t kSegmentShare = 8;
  return config.spool_bytes_max / kSegmentShare;
}

SegmentSettings segment_settings_of(const Config& config, const StreamConfig& stream,
                                    const std::string& instance) {
  SegmentSettings settings;
  settings.format = stream.format;
  settings.pretty = stream.pretty;
  settings.compression = config.compression;
  settings.compression_level = static_cast<int>(config.compression_level);
  settings.block_bytes = static_cast<std::uint32_t>(config.block_bytes);
  settings.event_bytes_max = config.event_bytes_max;
  settings.prefix = stream.prefix;
  settings.quarantine_prefix = config.quarantine_prefix;
  settings.date_folders = config.use_date_folders;
  settings.instance = instance;
  settings.destination = config.destination();
  return settings;
}

}  // namespace sluice
