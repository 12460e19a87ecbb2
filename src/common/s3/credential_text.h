// What the sources of credentials have in common: the JSON that metadata services and processes
// answer, times, and text that may be shown. Pure. No error quotes what was parsed: it may be a
// secret.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/s3/credentials.h"

namespace sluice {

struct FetchedCredentials {
  Credentials credentials = {};
  CredentialOrigin origin = {};
};

// {"AccessKeyId", "SecretAccessKey", "Token" or "SessionToken", "Expiration", "RoleArn",
// "AccountId"}: the origin has the identity and the expiry. Rejected, with what is wrong.
Result<FetchedCredentials> parse_credential_json(std::string_view text);
// The same, with a "Version" of 1 beside: what a credential_process prints.
Result<FetchedCredentials> parse_process_output(std::string_view text);

// Rejected where the key id or the secret is missing, or where anything cannot be sent.
Status check_complete(const Credentials& credentials);

// At most the last four characters, and nothing of a short one.
std::string key_id_end(std::string_view access_key_id);

// The first `bytes_max` bytes, with '?' for what is not printable.
std::string printable_cut(std::string_view text, std::size_t bytes_max);

}  // namespace sluice
