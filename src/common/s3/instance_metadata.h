// Credentials of the role of an EC2 instance, by version 2 of its metadata service: a PUT gives a
// session token, without which nothing is asked. Version 1 is never used.
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
#pragma once

#include <string>

#include "common/s3/credential_source.h"

namespace sluice {

class InstanceMetadataSource final : public CredentialSource {
 public:
  struct Settings {
    bool disabled = false;
    std::string endpoint_url = {};  // empty: http://169.254.169.254
  };
  InstanceMetadataSource(Settings settings, const CredentialOutside& outside);

  [[nodiscard]] std::string_view name() const override { return "instance metadata"; }
  [[nodiscard]] SourceAnswer fetch() override;

 private:
  [[nodiscard]] Result<std::string> session_token() const;
  [[nodiscard]] Result<std::string> get(const std::string& path, const std::string& token) const;

  const Settings settings_;
  const CredentialOutside& outside_;
};

}  // namespace sluice
