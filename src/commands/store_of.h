// The store that the settings name.
#pragma once

#include <memory>
#include <string>

#include "common/base/result.h"
#include "common/config/config.h"
#include "common/config/stream_config.h"
#include "common/http/curl_client.h"
#include "common/platform/clock.h"
#include "common/platform/filesystem.h"
#include "common/s3/credentials.h"
#include "common/s3/object_store.h"
#include "common/s3/s3_endpoint.h"

namespace sluice {

// All outlive the store.
struct StoreOutside {
  Filesystem& filesystem;
  const Clock& clock;
  CredentialsProvider* credentials = nullptr;  // of an S3 store
  // Whose part of the store's limits it gets; none: all of them.
  const StreamConfig* stream = nullptr;
};

S3Endpoint::Options endpoint_of(const Config& config);
// How what belongs to the store is reached: by its proxy, believed by its authorities.
CurlClient::Options http_options_of(const Config& config);

// `instance` names the temporary files of a directory. Fatal where the settings cannot work or the
// directory cannot be made; asks nothing of an S3 store yet.
Result<std::unique_ptr<ObjectStore>> store_of(const Config& config, const std::string& instance,
                                              const StoreOutside& outside);

}  // namespace sluice
