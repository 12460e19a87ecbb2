// Credentials for the token of a web identity: how EKS (IRSA) and others with OpenID Connect give
// a process a role. The token's file is read for every fetch: its writer rotates it.
#pragma once

#include <string>

#include "common/s3/credential_source.h"
#include "common/s3/sts_client.h"

namespace sluice {

class WebIdentitySource final : public CredentialSource {
 public:
  struct Settings {
    std::string token_file = {};
    RoleRequest role = {};
  };
  WebIdentitySource(Settings settings, const StsClient& sts, const CredentialOutside& outside)
      : settings_(std::move(settings)), sts_(sts), outside_(outside) {}

  [[nodiscard]] std::string_view name() const override { return "web identity"; }
  [[nodiscard]] SourceAnswer fetch() override;

 private:
  const Settings settings_;
  const StsClient& sts_;
  const CredentialOutside& outside_;
};

}  // namespace sluice
