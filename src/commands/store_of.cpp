#include "commands/store_of.h"

#include "common/base/check.h"
#include "common/s3/directory_store.h"
#include "common/s3/s3_client.h"

namespace sluice {

S3Endpoint::Options endpoint_of(const Config& config) {
  return {.endpoint_url = config.aws_endpoint_url,
          .region = config.aws_region,
          .bucket = config.bucket_name,
          .path_style = config.s3_force_path_style,
          .dualstack = config.s3_dualstack,
          .fips = config.s3_fips,
          .accelerate = config.s3_accelerate};
}

CurlClient::Options http_options_of(const Config& config) {
  return {.ca_file = config.s3_ca_file,
          .proxy = config.s3_proxy,
          .user_agent = "sluice/" SLUICE_VERSION};
}

namespace {

S3Client::Options s3_options(const Config& config, const StreamConfig* stream) {
  S3Client::Options options;
  options.endpoint = endpoint_of(config);
  options.terms = {.checksum = config.s3_checksum,
                   .encryption = config.s3_sse,
                   .kms_key_id = config.s3_sse_kms_key_id,
                   .kms_context = config.s3_sse_kms_context,
                   .bucket_key = config.s3_sse_bucket_key,
                   .storage_class = config.s3_storage_class,
                   .acl = config.s3_acl,
                   .tags = config.s3_tags,
                   .expected_bucket_owner = config.s3_expected_bucket_owner,
                   .request_payer = config.s3_request_payer};
  options.ca_file = config.s3_ca_file;
  options.proxy = config.s3_proxy;
  options.user_agent = config.s3_user_agent;
  options.send_bytes_per_second_max =
      stream == nullptr ? config.upload_bandwidth_max : stream->upload_bandwidth_max;
  options.requests_max = stream == nullptr ? config.upload_concurrency : stream->upload_concurrency;
  options.connect_timeout = config.s3_connect_timeout;
  options.request_deadline = config.s3_request_timeout;
  options.idle_timeout = std::chrono::floor<std::chrono::seconds>(config.s3_idle_timeout);
  return options;
}

}  // namespace

Result<std::unique_ptr<ObjectStore>> store_of(const Config& config, const std::string& instance,
                                              const StoreOutside& outside) {
  if (!config.uses_s3()) {
    auto store = DirectoryStore::open(outside.filesystem, {config.output_dir, instance});
    if (!store) {
      return store.error();
    }
    return std::unique_ptr<ObjectStore>(std::move(*store));
  }
  CHECK_THAT(outside.credentials != nullptr);
  auto store =
      S3Client::make(s3_options(config, outside.stream), {*outside.credentials, outside.clock});
  if (!store) {
    return store.error();
  }
  return std::unique_ptr<ObjectStore>(std::move(*store));
}

}  // namespace sluice
