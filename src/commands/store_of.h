// The store that the settings name.
#pragma once

#include <memory>
#include <string>

#include "common/base/result.h"
#include "common/config/config.h"
#include "common/platform/clock.h"
#include "common/platform/filesystem.h"
#include "common/s3/credentials.h"
#include "common/s3/object_store.h"

namespace sluice {

struct StoreOfConfig {
  std::unique_ptr<CredentialsProvider> credentials;  // outlives the store; empty for a directory
  std::unique_ptr<ObjectStore> store;
};

// Both outlive the store.
struct StoreOutside {
  Filesystem& filesystem;
  const Clock& clock;
};

// `instance` names the temporary files of a directory. Fatal where the settings cannot work or the
// directory cannot be made; asks nothing of an S3 store yet.
Result<StoreOfConfig> store_of(const Config& config, const std::string& instance,
                               const StoreOutside& outside);

}  // namespace sluice
