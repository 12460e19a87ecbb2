#include "common/config/settings.h"

#include <algorithm>
#include <array>
#include <vector>

#include "common/config/credential_settings.h"
#include "common/config/listener_settings.h"
#include "common/config/setting_rules.h"

namespace sluice {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kMillisecond{1};
constexpr milliseconds kSecond{1000};
constexpr milliseconds kDay{std::chrono::days(1)};
constexpr milliseconds kWeek{std::chrono::days(7)};

constexpr std::array<std::pair<std::string_view, OutputFormat>, 3> kFormats{
    {{"xml", OutputFormat::xml}, {"json", OutputFormat::json}, {"jsonl", OutputFormat::jsonl}}};
constexpr std::array<std::pair<std::string_view, Compression>, 3> kCompressions{
    {{"none", Compression::none}, {"gzip", Compression::gzip}, {"zstd", Compression::zstd}}};
constexpr std::array<std::pair<std::string_view, FileSizeBasis>, 2> kFileSizeBases{
    {{"received", FileSizeBasis::received}, {"compressed", FileSizeBasis::object}}};
constexpr std::array<std::pair<std::string_view, log::Format>, 2> kLogFormats{
    {{"text", log::Format::text}, {"json", log::Format::json}}};
constexpr std::array<std::pair<std::string_view, log::Level>, 4> kLogLevels{
    {{"debug", log::Level::debug},
     {"info", log::Level::info},
     {"warning", log::Level::warning},
     {"error", log::Level::error}}};

constexpr std::array<std::pair<std::string_view, S3Checksum>, 4> kChecksums{
    {{"crc32c", S3Checksum::crc32c},
     {"sha256", S3Checksum::sha256},
     {"md5", S3Checksum::md5},
     {"none", S3Checksum::none}}};
constexpr std::array<std::pair<std::string_view, S3Encryption>, 4> kEncryptions{
    {{"none", S3Encryption::none},
     {"AES256", S3Encryption::aes256},
     {"aws:kms", S3Encryption::kms},
     {"aws:kms:dsse", S3Encryption::kms_dsse}}};

constexpr std::string_view kObjects = "Events and objects";
constexpr std::string_view kStore = "Store";
constexpr std::string_view kSpool = "Spool";
constexpr std::string_view kMemory = "Memory and threads";
constexpr std::string_view kOperation = "Operation";

CountField threads(std::uint64_t Config::*member) { return {member, 0, 64}; }

DurationField seconds(milliseconds Config::*member, milliseconds least) {
  return {member, kSecond, least, kWeek};
}

// NOLINTNEXTLINE(readability-function-size): one line a setting
const auto& table() {
  static const std::array settings{
      Setting{"MAX_MESSAGE_SIZE", kObjects, BytesField{&Config::event_bytes_max, 256, 256 * kMiB},
              "Largest event. A longer one goes to quarantine as a sample of its first MiB."},
      Setting{"ROTATION_INTERVAL", kObjects, seconds(&Config::rotation_interval, milliseconds(1)),
              "An object holds the events of at most so long. With MAX_FILE_SIZE, whichever comes "
              "first."},
      Setting{"MAX_FILE_SIZE", kObjects, BytesField{&Config::segment_bytes_max, 1, 64 * kGiB},
              "A segment is closed after the group of events that reaches this size. At most an "
              "eighth of SPOOL_MAX_BYTES."},
      Setting{"MAX_FILE_SIZE_BASIS", kObjects,
              ChoiceField<FileSizeBasis>{&Config::file_size_basis, kFileSizeBases},
              "What MAX_FILE_SIZE is the size of: received, the events as they came; compressed, "
              "the object, predicted from those before it (the first ones after a start are "
              "smaller)."},
      Setting{"OUTPUT_FORMAT", kObjects,
              ChoiceField<OutputFormat>{&Config::output_format, kFormats},
              "xml: the events as received inside <EVENTS>; json: an array of objects; jsonl: an "
              "object a line."},
      Setting{"PRETTY_PRINT_JSON", kObjects, FlagField{&Config::pretty_print_json},
              "Indents the objects of OUTPUT_FORMAT=json."},
      Setting{"USE_DATE_FOLDERS", kObjects, FlagField{&Config::use_date_folders},
              "Puts YYYY/MM/DD/ between the prefix and the name."},
      Setting{"PREFIX", kObjects, TextField{&Config::prefix, prefix_complaint, true},
              "What the keys of objects begin with. May be empty."},
      Setting{"QUARANTINE_PREFIX", kObjects,
              TextField{&Config::quarantine_prefix, prefix_complaint},
              "What the keys of rejected bytes and their reasons begin with. Keep it outside of "
              "what Snowflake watches."},
      Setting{"INSTANCE_ID",
              kObjects,
              TextField{&Config::instance_id, instance_complaint},
              "Part of every key, so that instances with one bucket never meet.",
              {},
              "made at the first start and kept in the spool"},
      Setting{"COMPRESSION", kObjects,
              ChoiceField<Compression>{&Config::compression, kCompressions},
              "Compression of objects; adds .gz or .zst to the key."},
      Setting{"COMPRESSION_LEVEL", kObjects, CountField{&Config::compression_level, 0, 19},
              "Level of the compression: gzip 1 to 3, zstd 1 to 19; 0 is the method's default."},

      Setting{"BUCKET_NAME",
              kStore,
              TextField{&Config::bucket_name, bucket_complaint},
              "S3 bucket that takes the objects. Without it they go to OUTPUT_DIR.",
              {},
              "none"},
      Setting{"OUTPUT_DIR", kStore, TextField{&Config::output_dir},
              "Directory that takes the objects when BUCKET_NAME is not set."},
      Setting{"AWS_REGION", kStore, TextField{&Config::aws_region, region_complaint},
              "Region of the bucket.", "AWS_DEFAULT_REGION"},
      Setting{"AWS_ENDPOINT_URL",
              kStore,
              TextField{&Config::aws_endpoint_url, endpoint_complaint},
              "Endpoint of another S3 store, such as http://minio:9000.",
              {},
              "that of AWS for the region"},
      Setting{"S3_FORCE_PATH_STYLE",
              kStore,
              FlagField{&Config::s3_force_path_style},
              "Addresses the bucket in the path instead of in the host name.",
              {},
              "true with AWS_ENDPOINT_URL, else false"},
      Setting{"S3_DUALSTACK", kStore, FlagField{&Config::s3_dualstack},
              "Uses AWS's endpoints that answer over IPv6 too."},
      Setting{"S3_FIPS", kStore, FlagField{&Config::s3_fips},
              "Uses AWS's FIPS endpoints, which regions in the US and Canada have."},
      Setting{"S3_ACCELERATE", kStore, FlagField{&Config::s3_accelerate},
              "Uses AWS's Transfer Acceleration, which has to be enabled for the bucket."},
      Setting{
          "S3_PROXY", kStore, SecretField{&Config::s3_proxy, proxy_complaint},
          "HTTP proxy on the way to the store and to STS: http[s]://[user:password@]host[:port]. "
          "From the environment only, as it may hold a password. HTTP_PROXY and its like are not "
          "heeded."},
      Setting{
          "S3_CA_FILE",
          kStore,
          TextField{&Config::s3_ca_file},
          "PEM file of the authorities that may sign the certificates of the store, of STS and of "
          "the proxy, in place of the system's.",
          {},
          "the system's"},
      Setting{"S3_USER_AGENT",
              kStore,
              TextField{&Config::s3_user_agent, user_agent_complaint},
              "What is added to the User-Agent header of requests to the store.",
              {},
              "none"},
      Setting{"S3_CONNECT_TIMEOUT", kStore, seconds(&Config::s3_connect_timeout, milliseconds(1)),
              "How long a connection to the store may take to come about."},
      Setting{"S3_REQUEST_TIMEOUT", kStore, seconds(&Config::s3_request_timeout, milliseconds(1)),
              "How long a request may take in all, and as much again for each MiB of its body. "
              "Slower than 1 KiB a second for half a minute is too slow in any case."},
      Setting{
          "S3_IDLE_TIMEOUT", kStore, seconds(&Config::s3_idle_timeout, kSecond),
          "A connection that was idle for longer is not used again. S3 closes it after about 20 "
          "seconds. Whole seconds count."},
      Setting{"S3_CHECKSUM", kStore, ChoiceField<S3Checksum>{&Config::s3_checksum, kChecksums},
              "Checksum that goes with every body and that the store has to confirm. Without a "
              "confirmation its ETag is compared with the MD5. md5 is Content-MD5; none sends and "
              "compares nothing."},
      Setting{"S3_SSE", kStore, ChoiceField<S3Encryption>{&Config::s3_sse, kEncryptions},
              "Encryption by the store that is asked for with each object; none leaves it to the "
              "bucket."},
      Setting{"S3_SSE_KMS_KEY_ID",
              kStore,
              TextField{&Config::s3_sse_kms_key_id, header_complaint},
              "Id, ARN or alias of the KMS key.",
              {},
              "the account's key for S3"},
      Setting{"S3_SSE_KMS_CONTEXT",
              kStore,
              TextField{&Config::s3_sse_kms_context, kms_context_complaint},
              "Encryption context: a JSON object of strings.",
              {},
              "none"},
      Setting{"S3_SSE_BUCKET_KEY", kStore, FlagField{&Config::s3_sse_bucket_key},
              "Uses an S3 Bucket Key, which asks KMS less often."},
      Setting{"S3_STORAGE_CLASS",
              kStore,
              TextField{&Config::s3_storage_class, storage_class_complaint},
              "Storage class of the objects, such as STANDARD_IA.",
              {},
              "the bucket's"},
      Setting{"S3_ACL",
              kStore,
              TextField{&Config::s3_acl, acl_complaint},
              "Canned ACL of the objects, such as bucket-owner-full-control.",
              {},
              "none"},
      Setting{"S3_TAGS",
              kStore,
              TextField{&Config::s3_tags, tags_complaint},
              "Tags of the objects: key=value&key=value, at most ten. Needs s3:PutObjectTagging.",
              {},
              "none"},
      Setting{"S3_EXPECTED_BUCKET_OWNER",
              kStore,
              TextField{&Config::s3_expected_bucket_owner, account_complaint},
              "Account that has to own the bucket, or else the store refuses every request.",
              {},
              "anyone"},
      Setting{"S3_REQUEST_PAYER",
              kStore,
              TextField{&Config::s3_request_payer, payer_complaint},
              "requester: we pay for requests to a bucket whose owner does not.",
              {},
              "the bucket's owner"},
      Setting{"MAX_RETRIES", kStore, CountField{&Config::retries_max, 1, 1000},
              "Tries of an object that the store itself refuses (its key is too long, say) before "
              "it is set aside. Whatever else fails is retried for ever."},
      Setting{"RETRY_BASE_DELAY", kStore, seconds(&Config::retry_base_delay, milliseconds(1)),
              "Longest first wait before a retry; doubles up to 60 seconds. Each wait is anything "
              "up to it."},
      Setting{"UPLOAD_CONCURRENCY", kStore, CountField{&Config::upload_concurrency, 1, 256},
              "Requests to the store at a time."},
      Setting{"UPLOAD_BANDWIDTH_MAX", kStore,
              BytesField{&Config::upload_bandwidth_max, 0, 1ULL << 40U},
              "Bytes that are sent to an S3 store in a second, all requests together; 0 is no "
              "limit. Less than the feed brings fills the spool."},
      Setting{"CONFIG_PROBE_INTERVAL", kStore,
              seconds(&Config::config_probe_interval, milliseconds(1)),
              "How often a store that refuses our settings (credentials, bucket, region) is tried "
              "again."},

      Setting{"SPOOL_DIR", kSpool, TextField{&Config::spool_dir},
              "Directory of the spool, on a local disk. One instance a directory."},
      Setting{"SPOOL_MAX_BYTES", kSpool, BytesField{&Config::spool_bytes_max, kMiB, 1ULL << 50U},
              "Room for the spool. At 95 % reading stops until it is down to 80 %; nothing is "
              "dropped."},
      Setting{"SPOOL_SYNC_INTERVAL_MS", kSpool,
              DurationField{&Config::spool_sync_interval, kMillisecond, milliseconds(1),
                            std::chrono::minutes(1)},
              "Longest time between receipt and fdatasync while nobody waits for it."},
      Setting{"SPOOL_SYNC_BYTES", kSpool, BytesField{&Config::spool_sync_bytes, 1, kGiB},
              "Bytes after which fdatasync does not wait for the interval."},
      Setting{"DISK_FAILURE_TIMEOUT", kSpool,
              seconds(&Config::disk_failure_timeout, milliseconds(1)),
              "How long a disk that fails every write is tried before Sluice exits with 4."},
      Setting{"LEDGER_KEEP_DAYS", kSpool,
              DurationField{&Config::ledger_keep, kDay, kDay, kDay * 3650},
              "How long the ledger remembers uploaded objects."},

      Setting{"MEMORY_MAX_BYTES", kMemory, BytesField{&Config::memory_bytes_max, kMiB, 1ULL << 40U},
              "Bound of the memory for events, half for ingest, half for egress."},
      Setting{"BLOCK_BYTES",
              kMemory,
              BytesField{&Config::block_bytes, 4 * kKiB, kGiB},
              "Run of events that one thread validates or converts at a time.",
              {},
              "`4MiB`, less where `MEMORY_MAX_BYTES` is below 210MiB"},
      Setting{"QUEUE_CAPACITY", kMemory, CountField{&Config::queue_capacity, 1, 65536},
              "Items that a queue between two stages holds."},
      Setting{"RECEIVE_THREADS", kMemory, threads(&Config::receive_threads),
              "Threads that read sockets; 0 follows the number of cores."},
      Setting{"FRAME_THREADS", kMemory, threads(&Config::frame_threads),
              "Threads that cut streams into events; 0 follows the number of cores."},
      Setting{"VALIDATE_THREADS", kMemory, threads(&Config::validate_threads),
              "Threads that parse events; 0 follows the number of cores."},
      Setting{"CONVERT_THREADS", kMemory, threads(&Config::convert_threads),
              "Threads that render and compress objects; 0 follows the number of cores."},

      Setting{"ADMIN_HOST", kOperation, TextField{&Config::admin_host, host_complaint},
              "Address of the admin server. It has no authentication: keep it on loopback."},
      Setting{"ADMIN_PORT", kOperation, PortField{&Config::admin_port},
              "Port of the admin server: /health, /ready, /metrics, /status and a live page. 0 "
              "takes a free one and prints it."},
      Setting{"DRAIN_TIMEOUT", kOperation, seconds(&Config::drain_timeout, milliseconds(0)),
              "How long a stop waits for uploads. What remains is on disk for the next start."},
      Setting{"SLUICE_LOG_FORMAT", kOperation,
              ChoiceField<log::Format>{&Config::log_format, kLogFormats},
              "Form of the log lines on stderr."},
      Setting{"SLUICE_LOG_LEVEL", kOperation,
              ChoiceField<log::Level>{&Config::log_level, kLogLevels},
              "Least level that is logged."},
  };
  return settings;
}

}  // namespace

std::span<const Setting> all_settings() {
  static const std::vector<Setting> settings = [] {
    std::vector<Setting> all(listener_settings().begin(), listener_settings().end());
    all.insert(all.end(), table().begin(), table().end());
    const auto behind_the_store = std::find_if(
        all.begin(), all.end(), [](const Setting& setting) { return setting.group == kSpool; });
    all.insert(behind_the_store, credential_settings().begin(), credential_settings().end());
    return all;
  }();
  return settings;
}

}  // namespace sluice
