// Credentials: who signs. No type here can be printed, and no error names a secret.
#pragma once

#include <string>

#include "common/base/result.h"

namespace sluice {

struct Credentials {
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token = {};  // empty for long-lived keys
};

// Where credentials come from. Thread-compatible. Later sources may fetch; calls must not block
// for longer than a file read.
class CredentialsProvider {
 public:
  virtual ~CredentialsProvider() = default;
  // What is to be signed with now. Rejected, with what is missing, where there is nothing.
  [[nodiscard]] virtual Result<Credentials> current() = 0;
  // The store refused what current() gave: forget it. False where there is nothing fresher to get.
  virtual bool refresh() = 0;
};

// AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN. The process's environment does
// not change while it runs, so there is nothing fresher.
class EnvironmentCredentials final : public CredentialsProvider {
 public:
  EnvironmentCredentials();
  // For tests.
  explicit EnvironmentCredentials(Credentials credentials);
  [[nodiscard]] Result<Credentials> current() override;
  bool refresh() override { return false; }

 private:
  Credentials credentials_;
};

}  // namespace sluice
