// What /status and /metrics say of the two halves. Thread-safe against running halves; a half that
// is not there right now is a null pointer.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "commands/books_page.h"
#include "commands/egress_half.h"
#include "commands/ingest_half.h"
#include "common/s3/refreshing_credentials.h"

namespace sluice {

// {"ingest": {"used", "peak", "max"}, "egress": …}
nlohmann::json memory_to_json(const IngestHalf* ingest, const EgressHalf* egress);
// [{"name", "size", "capacity"}] in flow order
nlohmann::json queues_to_json(const IngestHalf* ingest, const EgressHalf* egress);
nlohmann::json threads_of_halves(const IngestHalf* ingest, const EgressHalf* egress);
// {"source", "for", "key_id_end", "expires_at", "error"}; null is what is not known, or never.
nlohmann::json credentials_to_json(const CredentialReport& report);
// When they expire, where they do.
void add_credential_metrics(MetricsPage& page, const CredentialReport& report);
void add_server_metrics(MetricsPage& page, const IngestHalf* ingest, const EgressHalf* egress);

// Once both halves have ended: what Upload unlinked in its last moments, and Rotate was not told of
// any more, is no longer counted as in the spool. Blocks.
void close_books(const StreamDirectory& stream, Books& books);

// What a segment may take of the spool, at most.
std::uint64_t segment_file_bytes_max(const Config& config);
// What new segments' objects are made by.
SegmentSettings segment_settings_of(const Config& config, const std::string& instance);

}  // namespace sluice
