// Credentials from the endpoint that a container's platform names: ECS task roles and EKS pod
// identities. https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
#pragma once

#include <string>
#include <string_view>

#include "common/s3/credential_source.h"

namespace sluice {

class ContainerSource final : public CredentialSource {
 public:
  struct Settings {
    std::string relative_uri = {};  // on 169.254.170.2
    std::string full_uri = {};
    std::string token = {};
    std::string token_file = {};  // wins, and is read for every fetch
  };
  ContainerSource(Settings settings, const CredentialOutside& outside)
      : settings_(std::move(settings)), outside_(outside) {}

  [[nodiscard]] std::string_view name() const override { return "container"; }
  [[nodiscard]] SourceAnswer fetch() override;

 private:
  // The Authorization header's value; empty where there is none.
  [[nodiscard]] Result<std::string> token() const;

  const Settings settings_;
  const CredentialOutside& outside_;
};

// Whether the authorization token may be sent there: https, or an address of this machine or of the
// agents of ECS and EKS. Names other than "localhost" are not resolved, and so refused over http.
bool is_container_endpoint(std::string_view url);

}  // namespace sluice
