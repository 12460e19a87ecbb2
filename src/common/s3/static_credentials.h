// Long-lived credentials given one by one: in variables, in files that variables name, and in the
// files of /run/secrets.
#pragma once

#include <string>

#include "common/s3/credential_source.h"

namespace sluice {

// Each of the three from its variable, or else from the file that <variable>_FILE names.
class EnvironmentSource final : public CredentialSource {
 public:
  struct Values {
    std::string access_key_id = {};
    std::string secret_access_key = {};
    std::string session_token = {};
    std::string access_key_id_file = {};
    std::string secret_access_key_file = {};
    std::string session_token_file = {};
  };
  EnvironmentSource(Values values, const CredentialOutside& outside)
      : values_(std::move(values)), outside_(outside) {}

  [[nodiscard]] std::string_view name() const override { return "environment"; }
  [[nodiscard]] SourceAnswer fetch() override;
  [[nodiscard]] bool fixed() const override;

 private:
  const Values values_;
  const CredentialOutside& outside_;
};

// AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN as files of one directory, in
// upper or lower case: how Docker and Podman hand secrets on.
class RunSecretsSource final : public CredentialSource {
 public:
  RunSecretsSource(std::string directory, const CredentialOutside& outside)
      : directory_(std::move(directory)), outside_(outside) {}

  [[nodiscard]] std::string_view name() const override { return "run secrets"; }
  [[nodiscard]] SourceAnswer fetch() override;

 private:
  // The secret, or nothing where there is no such file.
  Result<std::string> read(const std::string& variable) const;

  const std::string directory_;
  const CredentialOutside& outside_;
};

}  // namespace sluice
