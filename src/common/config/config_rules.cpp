#include "common/config/config_rules.h"

#include <algorithm>
#include <array>

#include "common/config/settings.h"
#include "common/config/tls_settings.h"
#include "common/config/value_text.h"
#include "common/xml/block_cost.h"

namespace sluice {

namespace {

// RpcConnection's, which no setting raises.
constexpr std::uint64_t kRpcMessageBytesMax = 16 * kMiB;

void check_store(const Config& config, std::vector<std::string>& complaints) {
  if (!config.serves("xml") && !(config.serves("logs") && config.logs_upload)) {
    return;  // nothing is stored
  }
  if (!config.uses_s3()) {
    if (explicitly_set(config, "OUTPUT_DIR")) {
      return;
    }
    for (const SettingValue& setting : config.settings) {
      if (setting.explicitly_set && (setting.name == "AWS_ENDPOINT_URL" ||
                                     setting.name == "PREFIX" || setting.name.starts_with("S3_"))) {
        complaints.push_back(setting.name +
                             " is set, but neither BUCKET_NAME nor OUTPUT_DIR: set BUCKET_NAME to "
                             "store objects in S3, or OUTPUT_DIR to store them in a directory");
        return;
      }
    }
    return;
  }
  const bool has_id = !config.aws_access_key_id.empty() || !config.aws_access_key_id_file.empty();
  const bool has_secret =
      !config.aws_secret_access_key.empty() || !config.aws_secret_access_key_file.empty();
  // Where neither is, another link of the chain may give both: only a fetch can tell.
  if (has_id != has_secret) {
    const std::string missing = has_id ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID";
    complaints.push_back("BUCKET_NAME is set, but " + missing + " is not, and neither is " +
                         missing + "_FILE: set both halves of the key, or none");
  }
  if (!config.aws_web_identity_token_file.empty() && config.aws_role_arn.empty()) {
    complaints.emplace_back("AWS_WEB_IDENTITY_TOKEN_FILE is set, but AWS_ROLE_ARN is not");
  }
}

// Endpoints that AWS does not have, and another store's is what it is.
void check_endpoint(const Config& config, std::vector<std::string>& complaints) {
  const std::array<std::pair<const char*, bool>, 3> kinds{
      {{"S3_DUALSTACK", config.s3_dualstack},
       {"S3_FIPS", config.s3_fips},
       {"S3_ACCELERATE", config.s3_accelerate}}};
  for (const auto& [name, is_set] : kinds) {
    if (is_set && !config.aws_endpoint_url.empty()) {
      complaints.push_back(std::string(name) +
                           " chooses among AWS's endpoints, but AWS_ENDPOINT_URL is set: unset one "
                           "of the two");
    }
  }
  const std::string& region = config.aws_region;
  if (config.s3_fips && !region.starts_with("us-") && !region.starts_with("ca-")) {
    complaints.push_back("S3_FIPS is set, but AWS has no FIPS endpoint in AWS_REGION=" + region +
                         ": only regions in the US and Canada have one");
  }
  if (!config.s3_accelerate) {
    return;
  }
  if (config.s3_fips) {
    complaints.emplace_back("S3_ACCELERATE and S3_FIPS exclude each other: unset one of the two");
  }
  if (config.s3_force_path_style || config.bucket_name.find('.') != std::string::npos) {
    complaints.emplace_back(
        "S3_ACCELERATE needs the bucket in the host name: unset S3_FORCE_PATH_STYLE, and a bucket "
        "with dots in its name cannot be accelerated");
  }
  if (region.starts_with("cn-") || region.starts_with("us-gov-")) {
    complaints.push_back("S3_ACCELERATE is set, but AWS does not accelerate in AWS_REGION=" +
                         region);
  }
}

void check_encryption(const Config& config, std::vector<std::string>& complaints) {
  const bool by_kms = config.s3_sse == S3Encryption::kms || config.s3_sse == S3Encryption::kms_dsse;
  const std::array<std::pair<const char*, bool>, 3> needs_kms{
      {{"S3_SSE_KMS_KEY_ID", !config.s3_sse_kms_key_id.empty()},
       {"S3_SSE_KMS_CONTEXT", !config.s3_sse_kms_context.empty()},
       {"S3_SSE_BUCKET_KEY", config.s3_sse_bucket_key}}};
  for (const auto& [name, is_set] : needs_kms) {
    if (is_set && !by_kms) {
      complaints.push_back(std::string(name) +
                           " is set, but S3_SSE is neither aws:kms nor aws:kms:dsse");
    }
  }
  if (config.s3_sse_bucket_key && config.s3_sse == S3Encryption::kms_dsse) {
    complaints.emplace_back("S3_SSE_BUCKET_KEY does not exist with S3_SSE=aws:kms:dsse");
  }
}

void check_listeners(const Config& config, std::vector<std::string>& complaints) {
  check_tls(config, complaints);
  if (!config.server_token_file.empty() && config.serves("logs") && !config.speaks_tls("logs")) {
    complaints.emplace_back(
        "SERVER_TOKEN_FILE is set, but the logs listener speaks plain text, in which everybody "
        "on the way reads a token: set TLS_CERT and TLS_KEY (for all listeners, or in \"logs\" of "
        "the configuration file), and logs in TLS_PROTOCOLS");
  }
  if (config.serves("logs") && !config.log_persistence && !config.logs_upload) {
    complaints.emplace_back(
        "ENABLE_LOG_PERSISTENCE and LOGS_UPLOAD are both false: lines would be acknowledged and "
        "go nowhere; set one of them");
  }
}

// That an event of so many bytes gets through a share of the memory: it is held twice at worst, and
// what is in flight besides.
void check_share(const Config& config, std::uint64_t share, std::uint64_t event_bytes,
                 std::vector<std::string>& complaints) {
  constexpr std::uint64_t kEventsInShare = 4;
  if (share >= kEventsInShare * event_bytes) {
    return;
  }
  const std::uint64_t parts =
      (config.memory_bytes_max + share - 1) / std::max<std::uint64_t>(1, share);
  complaints.push_back("MEMORY_MAX_BYTES=" + bytes_text(config.memory_bytes_max) +
                       " is too small for MAX_MESSAGE_SIZE=" + bytes_text(config.event_bytes_max) +
                       ": set MEMORY_MAX_BYTES to at least " +
                       bytes_text(parts * kEventsInShare * event_bytes) +
                       " or MAX_MESSAGE_SIZE to at most " +
                       bytes_text(config.memory_bytes_max / (parts * kEventsInShare)));
}

void check_sizes(const Config& config, std::vector<std::string>& complaints) {
  if (!config.streams().empty()) {
    check_share(config, config.ingest_memory_bytes(), config.event_bytes_max, complaints);
  }
  if (config.serves("rpc")) {
    check_share(config, config.rpc_memory_bytes(),
                std::min<std::uint64_t>(config.event_bytes_max, kRpcMessageBytesMax), complaints);
  }
  const std::uint64_t segment_most = config.spool_bytes_max / 8;
  if (config.segment_bytes_max > segment_most) {
    complaints.push_back(
        "MAX_FILE_SIZE=" + bytes_text(config.segment_bytes_max) +
        " is more than an eighth of SPOOL_MAX_BYTES=" + bytes_text(config.spool_bytes_max) +
        ": set SPOOL_MAX_BYTES to at least " + bytes_text(8 * config.segment_bytes_max) +
        " or MAX_FILE_SIZE to at most " + bytes_text(segment_most));
  }
  if (config.event_bytes_max > segment_most) {
    complaints.push_back(
        "MAX_MESSAGE_SIZE=" + bytes_text(config.event_bytes_max) +
        " is more than an eighth of SPOOL_MAX_BYTES=" + bytes_text(config.spool_bytes_max) +
        ": set SPOOL_MAX_BYTES to at least " + bytes_text(8 * config.event_bytes_max));
  }
  if (config.compression == Compression::gzip && config.compression_level > 3) {
    complaints.push_back("COMPRESSION_LEVEL=" + std::to_string(config.compression_level) +
                         " must be 0 to 3 with COMPRESSION=gzip");
  }
}

// What Rotate charges egress for a block of so many bytes, but for what its rejected events may
// take: a block of nothing else, each a few bytes long, passes alone.
std::uint64_t block_cost(const Config& config, std::uint64_t bytes) {
  SegmentSettings settings;
  settings.format = config.output_format;
  settings.pretty = config.pretty_print_json;
  return block_cost_bytes(settings, bytes, 0);
}

}  // namespace

bool explicitly_set(const Config& config, std::string_view name) {
  return std::any_of(config.settings.begin(), config.settings.end(), [&](const SettingValue& one) {
    return one.name == name && one.explicitly_set;
  });
}

void apply_dependent_defaults(Config& config) {
  while (config.aws_endpoint_url.ends_with('/')) {
    config.aws_endpoint_url.pop_back();
  }
  if (!explicitly_set(config, "S3_FORCE_PATH_STYLE")) {
    config.s3_force_path_style = !config.aws_endpoint_url.empty();
  }
  if (explicitly_set(config, "RATE_LIMIT_ENABLED")) {
    config.logs_rate_limit_enabled = config.rate_limit_enabled;
  }
  if (!explicitly_set(config, "BLOCK_BYTES") && !config.streams().empty()) {
    // Two blocks at least must fit, or the stages of egress would wait for each other.
    constexpr std::uint64_t kBlockBytesLeast = 64 * kKiB;
    while (config.block_bytes > kBlockBytesLeast &&
           2 * block_cost(config, config.block_bytes) > config.egress_memory_bytes()) {
      config.block_bytes /= 2;
    }
  }
}

std::vector<std::string> config_complaints(const Config& config) {
  std::vector<std::string> complaints;
  check_store(config, complaints);
  if (config.uses_s3()) {
    check_endpoint(config, complaints);
    check_encryption(config, complaints);
  }
  check_listeners(config, complaints);
  check_sizes(config, complaints);
  return complaints;
}

std::vector<std::string> config_warnings(const Config& config) {
  std::vector<std::string> warnings;
  if (config.uses_s3() && explicitly_set(config, "OUTPUT_DIR")) {
    warnings.emplace_back("OUTPUT_DIR has no effect: BUCKET_NAME is set and wins");
  }
  if (config.s3_storage_class == "GLACIER" || config.s3_storage_class == "DEEP_ARCHIVE") {
    warnings.push_back("S3_STORAGE_CLASS=" + config.s3_storage_class +
                       ": objects have to be restored before anything can load them");
  }
  const bool of_logs = config.serves("logs") && config.logs_upload;
  if (config.quarantine_prefix.starts_with(config.prefix)) {
    warnings.push_back("QUARANTINE_PREFIX=" + config.quarantine_prefix + " lies under PREFIX=" +
                       config.prefix + ": whatever loads from PREFIX will see rejected bytes too");
  }
  if (of_logs && config.quarantine_prefix.starts_with(config.logs_prefix)) {
    warnings.push_back("QUARANTINE_PREFIX=" + config.quarantine_prefix +
                       " lies under LOGS_PREFIX=" + config.logs_prefix +
                       ": whatever loads from LOGS_PREFIX will see rejected bytes too");
  }
  if (of_logs && config.serves("xml") &&
      (config.logs_prefix.starts_with(config.prefix) ||
       config.prefix.starts_with(config.logs_prefix))) {
    warnings.push_back("LOGS_PREFIX=" + config.logs_prefix + " and PREFIX=" + config.prefix +
                       " lie in each other: whatever loads from one of them will see both streams");
  }
  for (const auto& [name, prefix] :
       {std::pair("PREFIX", config.prefix), std::pair("LOGS_PREFIX", config.logs_prefix),
        std::pair("QUARANTINE_PREFIX", config.quarantine_prefix)}) {
    if (!prefix.empty() && !prefix.ends_with('/')) {
      warnings.push_back(std::string(name) + "=" + prefix +
                         " does not end in '/': it becomes the beginning of file names, not a "
                         "folder");
    }
  }
  // A block is one record at least, and a record one event.
  const std::uint64_t block_most = std::max(config.block_bytes, config.event_bytes_max);
  if (!config.streams().empty() && block_cost(config, block_most) > config.egress_memory_bytes()) {
    warnings.push_back(
        "a block of " + bytes_text(block_most) + " may need " +
        std::to_string(block_cost(config, block_most) / kMiB + 1) +
        " MiB in egress, whose half of MEMORY_MAX_BYTES=" + bytes_text(config.memory_bytes_max) +
        " is less: such a block passes alone, over the bound. Raise "
        "MEMORY_MAX_BYTES, or lower BLOCK_BYTES and MAX_MESSAGE_SIZE");
  }
  if (config.pretty_print_json && config.output_format != OutputFormat::json) {
    warnings.emplace_back("PRETTY_PRINT_JSON has no effect: OUTPUT_FORMAT is not json");
  }
  if (config.compression_level != 0 && config.compression == Compression::none) {
    warnings.emplace_back("COMPRESSION_LEVEL has no effect: COMPRESSION is none");
  }
  if (config.connections_per_ip_max > config.connections_max) {
    warnings.emplace_back("MAX_CONNECTIONS_PER_IP has no effect: it is above MAX_CONNECTIONS");
  }
  warn_of_unused_tls(config, warnings);
  return warnings;
}

}  // namespace sluice
