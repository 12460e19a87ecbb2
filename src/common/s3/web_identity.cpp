#include "common/s3/web_identity.h"

namespace sluice {

SourceAnswer WebIdentitySource::fetch() {
  const std::string& file = settings_.token_file;
  if (file.empty()) {
    return NotConfigured{"AWS_WEB_IDENTITY_TOKEN_FILE is not set"};
  }
  if (settings_.role.role_arn.empty()) {
    return rejected("AWS_WEB_IDENTITY_TOKEN_FILE is set, but AWS_ROLE_ARN is not");
  }
  const Result<std::string> token = read_secret(outside_, file);
  if (!token) {
    return rejected("the web identity token: " + token.error().message);
  }
  Result<FetchedCredentials> fetched = sts_.assume_role_with_web_identity(*token, settings_.role);
  if (!fetched) {
    return fetched.error();
  }
  fetched->origin.source = "the web identity token in " + file;
  return std::move(*fetched);
}

}  // namespace sluice
