// What /status and /metrics say of the two halves. Thread-safe against running halves; a half that
// is not there right now is a null pointer.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "commands/books_page.h"
#include "commands/egress_half.h"
#include "commands/ingest_half.h"
#include "commands/rpc_half.h"
#include "common/config/stream_config.h"
#include "common/s3/refreshing_credentials.h"

namespace sluice {

// The halves of one stream, or that of rpc, whose `scope` its names begin with (StreamConfig).
struct HalvesOf {
  const std::string& scope;
  const IngestHalf* ingest = nullptr;
  const EgressHalf* egress = nullptr;
  const RpcHalf* rpc = nullptr;  // in their place
};
// {"ingest": {"used", "peak", "max"}, "egress": …}
nlohmann::json memory_to_json(const HalvesOf& halves);
// [{"name", "size", "capacity"}] in flow order
nlohmann::json queues_to_json(const HalvesOf& halves);
nlohmann::json threads_to_json(const HalvesOf& halves);
// {"source", "for", "key_id_end", "expires_at", "error"}; null is what is not known, or never.
nlohmann::json credentials_to_json(const CredentialReport& report);
// When they expire, where they do.
void add_credential_metrics(MetricsPage& page, const CredentialReport& report);
void add_half_metrics(MetricsPage& page, const HalvesOf& halves);

// Once both halves have ended: what Upload unlinked in its last moments, and Rotate was not told of
// any more, is no longer counted as in the spool. Blocks.
void close_books(const StreamDirectory& stream, Books& books);

// What a segment may take of the spool, at most.
std::uint64_t segment_file_bytes_max(const Config& config);
// What new segments' objects are made by.
SegmentSettings segment_settings_of(const Config& config, const StreamConfig& stream,
                                    const std::string& instance);

}  // namespace sluice
