// The credentials that the settings name: the chain with everything it needs of the world.
#pragma once

#include <memory>
#include <optional>
#include <stop_token>

#include "common/config/config.h"
#include "common/platform/clock.h"
#include "common/platform/filesystem.h"
#include "common/s3/refreshing_credentials.h"

namespace sluice {

class ConfiguredCredentials {
 public:
  // Both outlive it.
  struct Outside {
    Filesystem& filesystem;
    const Clock& clock;
  };
  ConfiguredCredentials(const Config& config, const Outside& outside);
  ConfiguredCredentials(const ConfiguredCredentials&) = delete;
  ConfiguredCredentials& operator=(const ConfiguredCredentials&) = delete;
  // Ends a fetch that runs.
  ~ConfiguredCredentials();

  // Fetches on this thread; before start(). Blocks.
  CredentialReport fetch();
  // From here on a thread of its own fetches.
  void start();
  RefreshingCredentials& provider() { return credentials_; }

 private:
  std::stop_source stop_;
  CredentialOutside outside_;
  StsClient sts_;
  CredentialChain chain_;
  RefreshingCredentials credentials_;
  std::optional<CredentialThread> thread_;
};

}  // namespace sluice
