// The two calls of AWS's Security Token Service that give credentials for a role.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
#pragma once

#include <string>

#include "common/s3/credential_source.h"

namespace sluice {

struct RoleRequest {
  std::string role_arn = {};
  std::string session_name = {};      // empty: "sluice"
  std::string external_id = {};       // empty: none
  std::string duration_seconds = {};  // empty: the role's default
};

class StsClient {
 public:
  struct Options {
    std::string endpoint_url = {};  // empty: AWS's for the region
    std::string region = "us-east-1";
  };
  StsClient(Options options, const CredentialOutside& outside);

  // Signed with `by`. Both block; the origin has the role and the expiry, not the source.
  [[nodiscard]] Result<FetchedCredentials> assume_role(const Credentials& by,
                                                       const RoleRequest& role) const;
  // Not signed: the token says who asks.
  [[nodiscard]] Result<FetchedCredentials> assume_role_with_web_identity(
      const std::string& token, const RoleRequest& role) const;

 private:
  [[nodiscard]] std::string url() const;
  [[nodiscard]] Result<FetchedCredentials> send(std::string form, HttpHeaders headers) const;

  const Options options_;
  const CredentialOutside& outside_;
};

}  // namespace sluice
