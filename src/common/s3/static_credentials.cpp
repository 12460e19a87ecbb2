#include "common/s3/static_credentials.h"

#include <array>
#include <cerrno>

namespace sluice {
namespace {

constexpr const char* kKeyId = "AWS_ACCESS_KEY_ID";
constexpr const char* kSecret = "AWS_SECRET_ACCESS_KEY";
constexpr const char* kToken = "AWS_SESSION_TOKEN";

SourceAnswer found(Credentials credentials, std::string source) {
  if (Status complete = check_complete(credentials); !complete) {
    return rejected(source + ": " + complete.error().message);
  }
  CredentialOrigin origin{.source = std::move(source),
                          .key_id_end = key_id_end(credentials.access_key_id)};
  return FetchedCredentials{std::move(credentials), std::move(origin)};
}

}  // namespace

SourceAnswer EnvironmentSource::fetch() {
  struct Part {
    const char* variable;
    const std::string& value;
    const std::string& file;
    std::string Credentials::*member;
  };
  const std::array<Part, 3> parts{
      {{kKeyId, values_.access_key_id, values_.access_key_id_file, &Credentials::access_key_id},
       {kSecret, values_.secret_access_key, values_.secret_access_key_file,
        &Credentials::secret_access_key},
       {kToken, values_.session_token, values_.session_token_file, &Credentials::session_token}}};
  const auto given = [](const Part& part) { return !part.value.empty() || !part.file.empty(); };
  if (!given(parts[0]) && !given(parts[1])) {
    return NotConfigured{std::string(kKeyId) + " and " + kKeyId + "_FILE are not set"};
  }
  for (std::size_t i = 0; i < 2; ++i) {
    if (!given(parts[i])) {
      return rejected(std::string(parts[1 - i].variable) + " is set, but neither " +
                      parts[i].variable + " nor " + parts[i].variable + "_FILE");
    }
  }
  Credentials credentials;
  std::string source;
  for (const Part& part : parts) {
    if (!part.value.empty()) {
      credentials.*part.member = part.value;
    } else if (!part.file.empty()) {
      Result<std::string> secret = read_secret(outside_, part.file);
      if (!secret) {
        return rejected(std::string(part.variable) + "_FILE: " + secret.error().message);
      }
      credentials.*part.member = std::move(*secret);
      source += (source.empty() ? "" : ", ") + std::string(part.variable) + "_FILE=" + part.file;
    }
  }
  return found(std::move(credentials), source.empty() ? "the environment" : source);
}

bool EnvironmentSource::fixed() const {
  return values_.access_key_id_file.empty() && values_.secret_access_key_file.empty() &&
         values_.session_token_file.empty();
}

Result<std::string> RunSecretsSource::read(const std::string& variable) const {
  std::string lower = variable;
  for (char& c : lower) {
    c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  for (const std::string& name : {variable, lower}) {
    Result<std::string> secret = read_secret(outside_, directory_ + "/" + name);
    if (secret || secret.error().code != ENOENT) {
      return secret;
    }
  }
  return std::string();
}

SourceAnswer RunSecretsSource::fetch() {
  Credentials credentials;
  for (const auto& [variable, member] : {std::pair(kKeyId, &Credentials::access_key_id),
                                         std::pair(kSecret, &Credentials::secret_access_key),
                                         std::pair(kToken, &Credentials::session_token)}) {
    Result<std::string> secret = read(variable);
    if (!secret) {
      return rejected(secret.error().message);
    }
    credentials.*member = std::move(*secret);
  }
  if (credentials.access_key_id.empty() && credentials.secret_access_key.empty()) {
    return NotConfigured{"no " + std::string(kKeyId) + " in " + directory_};
  }
  return found(std::move(credentials), "the files in " + directory_);
}

}  // namespace sluice
