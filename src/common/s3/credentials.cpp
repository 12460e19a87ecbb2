#include "common/s3/credentials.h"

#include <algorithm>

#include "common/base/utc_text.h"
#include "common/s3/credential_text.h"

namespace sluice {

std::string describe(const CredentialOrigin& origin) {
  std::string text = "from " + origin.source;
  if (!origin.identity.empty()) {
    text += ", for " + origin.identity;
  }
  if (!origin.key_id_end.empty()) {
    text += ", key id …" + origin.key_id_end;
  }
  return text +
         (origin.expires_at ? ", until " + utc_seconds(*origin.expires_at) : ", without an end");
}

bool is_header_safe(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7F; });
}

bool is_header_value(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7F; });
}

EnvironmentCredentials::EnvironmentCredentials(Credentials credentials)
    : credentials_(std::move(credentials)) {}

Result<Credentials> EnvironmentCredentials::current() {
  if (Status complete = check_complete(credentials_); !complete) {
    return complete.error();
  }
  return credentials_;
}

}  // namespace sluice
