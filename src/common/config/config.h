// Config: every setting, typed. Made once at start by load_config from defaults, a JSON file and
// the environment (which wins); immutable afterwards. docs/configuration.md is generated from the
// table in settings.cpp.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/base/units.h"
#include "common/log/log.h"
#include "common/ndjson/log_level.h"
#include "common/s3/s3_terms.h"
#include "common/spool/segment_settings.h"

namespace sluice {

// What is served; each has a listener.
inline constexpr std::array<std::string_view, 3> kProtocols{"xml", "logs", "rpc"};

// One setting as it is in effect, for `sluice config`. A secret's value is "(set)" or empty.
struct SettingValue {
  std::string name;  // "TLS_CERT"; "logs.TLS_CERT" where it holds for that listener alone
  std::string value;
  std::string source;  // "default", "environment", "environment AWS_DEFAULT_REGION", "file <path>"
  bool explicitly_set = false;
};

// What MAX_FILE_SIZE is the size of.
enum class FileSizeBasis : std::uint8_t {
  received,  // the events as they came
  object,    // the object, compressed: predicted
};

// What a listener speaks TLS with.
struct TlsSettings {
  std::string cert;  // empty: plain text
  std::string key;
  std::string client_ca;
  std::string client_names;
};

// The initialisers are the defaults, and the only place where they stand.
struct Config {
  using Milliseconds = std::chrono::milliseconds;

  // Listening
  std::string protocols = "xml";
  std::string bind_host = "0.0.0.0";
  std::uint16_t port = 8080;  // 0: any free one
  std::string server_host = "0.0.0.0";
  std::uint16_t server_port = 9000;
  std::string rpc_host = "0.0.0.0";
  std::uint16_t rpc_port = 7000;
  std::uint64_t connections_max = 4096;
  std::uint64_t connections_per_ip_max = 0;  // 0: no limit
  std::uint64_t accept_rate_max = 0;         // connections a second; 0: no limit
  std::string allow_from;                    // AllowList
  std::string proxy_from;                    // AllowList
  Milliseconds document_timeout{std::chrono::seconds(60)};
  Milliseconds handshake_timeout{std::chrono::seconds(10)};
  Milliseconds reply_timeout{std::chrono::seconds(30)};
  std::uint64_t receive_rate_min = 0;  // bytes a second; 0: any
  Milliseconds feed_silent_after{0};   // 0: never
  bool rate_limit_enabled = false;
  Milliseconds rate_limit_window{std::chrono::seconds(60)};
  std::uint64_t rate_limit_events_max = 10000;
  std::string tls_cert;  // of all listeners, as the next three: tls_of() says what holds for one
  std::string tls_key;
  std::string tls_client_ca;
  std::string tls_client_names;
  std::string tls_protocols = "xml,logs,rpc";  // of those served, which speak TLS
  std::string server_token_file;

  // Logs
  LogLevel log_level_min = LogLevel::info;
  std::uint64_t logs_read_bytes_max = 128 * kKiB;
  bool logs_rate_limit_enabled = true;  // load_config: RATE_LIMIT_ENABLED where it is set
  Milliseconds logs_rate_limit_window{std::chrono::seconds(60)};
  std::uint64_t logs_rate_limit_requests_max = 100;
  bool log_persistence = true;
  std::string log_dir = "./logs";
  std::string log_filename = "server.log";
  std::uint64_t log_file_bytes_max = 100 * kMiB;  // 0: never rotated for its size
  Milliseconds log_file_age_max{0};               // 0: never for its age
  std::uint64_t log_files_keep = 10;              // 0: all
  bool logs_upload = true;
  std::string logs_prefix = "logs/";

  // Events and objects
  std::uint64_t event_bytes_max = kMiB;
  Milliseconds rotation_interval{std::chrono::seconds(60)};
  std::uint64_t segment_bytes_max = 5 * kMiB;
  FileSizeBasis file_size_basis = FileSizeBasis::received;
  OutputFormat output_format = OutputFormat::xml;
  bool pretty_print_json = false;
  bool use_date_folders = false;
  std::string prefix = "xml-events/";
  std::string quarantine_prefix = "quarantine/";
  std::string instance_id;  // empty: made once and kept in the spool
  Compression compression = Compression::none;
  std::uint64_t compression_level = 0;  // 0: the method's own default

  // Store
  std::string bucket_name;  // empty: output_dir
  std::string output_dir = "./data/objects";
  std::string aws_region = "us-east-1";
  std::string aws_endpoint_url;
  bool s3_force_path_style = false;  // load_config: true with an endpoint, unless set
  bool s3_dualstack = false;
  bool s3_fips = false;
  bool s3_accelerate = false;
  std::string s3_proxy;    // a secret: it may hold a password
  std::string s3_ca_file;  // empty: the system's
  std::string s3_user_agent;
  Milliseconds s3_connect_timeout{std::chrono::seconds(10)};
  Milliseconds s3_request_timeout{std::chrono::seconds(60)};
  Milliseconds s3_idle_timeout{std::chrono::seconds(15)};
  S3Checksum s3_checksum = S3Checksum::crc32c;
  S3Encryption s3_sse = S3Encryption::none;
  std::string s3_sse_kms_key_id;
  std::string s3_sse_kms_context;
  bool s3_sse_bucket_key = false;
  std::string s3_storage_class;
  std::string s3_acl;
  std::string s3_tags;
  std::string s3_expected_bucket_owner;
  std::string s3_request_payer;
  std::uint64_t retries_max = 5;
  Milliseconds retry_base_delay{std::chrono::seconds(1)};
  std::uint64_t upload_concurrency = 8;
  std::uint64_t upload_bandwidth_max = 0;  // bytes a second; 0: no limit
  Milliseconds config_probe_interval{std::chrono::seconds(60)};

  // Credentials
  std::string aws_access_key_id;
  std::string aws_secret_access_key;
  std::string aws_session_token;
  std::string aws_access_key_id_file;
  std::string aws_secret_access_key_file;
  std::string aws_session_token_file;
  std::string aws_web_identity_token_file;
  std::string aws_role_arn;
  std::string aws_role_session_name;  // empty: "sluice"
  std::string aws_profile;            // empty: "default", which may be missing
  std::string aws_shared_credentials_file;
  std::string aws_config_file;
  std::string aws_container_credentials_relative_uri;
  std::string aws_container_credentials_full_uri;
  std::string aws_container_authorization_token;
  std::string aws_container_authorization_token_file;
  bool aws_ec2_metadata_disabled = false;
  std::string aws_ec2_metadata_service_endpoint = "http://169.254.169.254";
  std::string aws_endpoint_url_sts;  // empty: AWS's for the region

  // Spool
  std::string spool_dir = "./data/spool";
  std::uint64_t spool_bytes_max = 10 * kGiB;
  Milliseconds spool_sync_interval{50};
  std::uint64_t spool_sync_bytes = 4 * kMiB;
  Milliseconds disk_failure_timeout{std::chrono::seconds(60)};
  Milliseconds ledger_keep{std::chrono::days(90)};

  // Memory and threads
  std::uint64_t memory_bytes_max = 256 * kMiB;
  std::uint64_t block_bytes = 4 * kMiB;  // load_config: less with little memory, unless set
  std::uint64_t queue_capacity = 256;    // items of every queue
  std::uint64_t receive_threads = 0;     // 0: thread_counts decides
  std::uint64_t frame_threads = 0;
  std::uint64_t validate_threads = 0;
  std::uint64_t convert_threads = 0;

  // Operation
  std::string admin_host = "127.0.0.1";
  std::uint16_t admin_port = 8081;  // 0: any free one
  Milliseconds drain_timeout{std::chrono::seconds(30)};
  log::Format log_format = log::Format::text;
  log::Level log_level = log::Level::info;

  std::string home;  // HOME: where .aws lies; no setting

  // How it came about.
  std::vector<SettingValue> settings;      // all, in the table's order
  std::vector<SettingValue> of_listeners;  // what the file gives for one listener: wins for it
  std::vector<std::string> warnings;       // sentences, for the log

  [[nodiscard]] bool uses_s3() const { return !bucket_name.empty(); }
  // What a spool is bound to: "s3://bucket", "s3://bucket@<endpoint>" or "file:///directory"
  // (absolute: depends on the working directory).
  [[nodiscard]] std::string destination() const;
  // Whether PROTOCOLS names this one of kProtocols.
  [[nodiscard]] bool serves(std::string_view protocol) const;
  // Whether TLS_PROTOCOLS does, and it has a certificate.
  [[nodiscard]] bool speaks_tls(std::string_view protocol) const;
  // What is in effect for its listener: its own settings, else those of all listeners. Where it
  // has an empty TLS_CERT of its own, or TLS_CLIENT_CA, nothing of all that needs one.
  [[nodiscard]] TlsSettings tls_of(std::string_view protocol) const;
  // What the file gives for its listener alone; nullptr where nothing.
  [[nodiscard]] const SettingValue* of_listener(std::string_view protocol,
                                                std::string_view setting) const;
  [[nodiscard]] std::vector<Stream> streams() const;
  // The shares of memory_bytes_max: those of the two halves of each stream, which are equal, and an
  // eighth for rpc beside streams.
  [[nodiscard]] std::uint64_t rpc_memory_bytes() const;
  [[nodiscard]] std::uint64_t ingest_memory_bytes() const;
  [[nodiscard]] std::uint64_t egress_memory_bytes() const;
};

struct ThreadCounts {
  unsigned receive = 1;
  unsigned frame = 1;
  unsigned validate = 1;
  unsigned convert = 1;
};
// The settings where they are not 0, else by the number of cores.
ThreadCounts thread_counts(const Config& config, unsigned cores);

struct ConfigFile {
  std::string path;
  std::string content;  // a JSON object {"PORT": 8080, ...}
};

struct ConfigSources {
  std::map<std::string, std::string> environment;
  std::optional<ConfigFile> file;
};

// The environment of this process and, where `path` is not empty, that file. Errors: a file that
// cannot be read.
Result<ConfigSources> read_config_sources(const std::string& path);

// Pure. The error's message has a line for each thing that is wrong: setting, source, value (never
// a secret's) and what is allowed.
Result<Config> load_config(const ConfigSources& sources);

}  // namespace sluice
