#include "commands/store_of.h"

#include "common/s3/directory_store.h"
#include "common/s3/s3_client.h"

namespace sluice {

Result<StoreOfConfig> store_of(const Config& config, const std::string& instance,
                               const StoreOutside& outside) {
  StoreOfConfig made;
  if (!config.uses_s3()) {
    auto store = DirectoryStore::open(outside.filesystem, {config.output_dir, instance});
    if (!store) {
      return store.error();
    }
    made.store = std::move(*store);
    return made;
  }
  made.credentials = std::make_unique<EnvironmentCredentials>(Credentials{
      config.aws_access_key_id, config.aws_secret_access_key, config.aws_session_token});
  S3Client::Options options;
  options.endpoint = {config.aws_endpoint_url, config.aws_region, config.bucket_name,
                      config.s3_force_path_style};
  auto store = S3Client::make(std::move(options), {*made.credentials, outside.clock});
  if (!store) {
    return store.error();
  }
  made.store = std::move(*store);
  return made;
}

}  // namespace sluice
