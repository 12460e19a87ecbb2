// Credentials: who signs. No type here can be printed, and no error names a secret.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/base/units.h"

namespace sluice {

struct Credentials {
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token = {};  // empty for long-lived keys
  // Which ones of their provider's they are; another number, other credentials.
  std::uint64_t serial = 0;
};

// What may be said of credentials: nothing here is secret.
struct CredentialOrigin {
  std::string source = {};      // "profile 'prod' in /etc/aws/credentials"
  std::string identity = {};    // the role or account, where the source names it
  std::string key_id_end = {};  // at most the last four characters of the key id
  std::optional<WallTime> expires_at = {};
};
// "from <source>, for <identity>, key id …ABCD, until 2026-11-21T09:14:07Z"
std::string describe(const CredentialOrigin& origin);

// Whether every character may stand in a request header: printable ASCII without spaces. A line
// break pasted with a key would end the header.
bool is_header_safe(std::string_view text);
// The same with spaces, as in "Basic abcd".
bool is_header_value(std::string_view text);

// Where credentials come from. Thread-safe where its owner says so. Calls must not block for longer
// than a file read.
class CredentialsProvider {
 public:
  virtual ~CredentialsProvider() = default;
  // What is to be signed with now. Transient while credentials are being fetched: ask again soon.
  // Rejected where there are none, with what failed and what to do.
  [[nodiscard]] virtual Result<Credentials> current() = 0;
  // The store refused the credentials with this serial: fetch others. False where there is nothing
  // fresher to get; true too where current() has moved on already.
  virtual bool refresh(std::uint64_t serial) = 0;
};

// The same ones for ever: those of the environment, which does not change while a process runs.
class EnvironmentCredentials final : public CredentialsProvider {
 public:
  explicit EnvironmentCredentials(Credentials credentials);
  [[nodiscard]] Result<Credentials> current() override;
  bool refresh(std::uint64_t /*serial*/) override { return false; }

 private:
  Credentials credentials_;
};

}  // namespace sluice
