#include "common/s3/credentials.h"

#include <algorithm>
#include <cstdlib>

namespace sluice {
namespace {

std::string environment(const char* name) {
  // Nothing here sets a variable.
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
  return value == nullptr ? std::string() : std::string(value);
}

// A line break pasted with the key would end up in the middle of a header.
bool is_printable(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7F; });
}

}  // namespace

EnvironmentCredentials::EnvironmentCredentials()
    : credentials_{.access_key_id = environment("AWS_ACCESS_KEY_ID"),
                   .secret_access_key = environment("AWS_SECRET_ACCESS_KEY"),
                   .session_token = environment("AWS_SESSION_TOKEN")} {}

EnvironmentCredentials::EnvironmentCredentials(Credentials credentials)
    : credentials_(std::move(credentials)) {}

Result<Credentials> EnvironmentCredentials::current() {
  if (credentials_.access_key_id.empty()) {
    return rejected("AWS_ACCESS_KEY_ID is not set");
  }
  if (credentials_.secret_access_key.empty()) {
    return rejected("AWS_SECRET_ACCESS_KEY is not set");
  }
  if (!is_printable(credentials_.access_key_id) || !is_printable(credentials_.session_token) ||
      !is_printable(credentials_.secret_access_key)) {
    return rejected("a space or control character in the AWS credentials");
  }
  return credentials_;
}

}  // namespace sluice
