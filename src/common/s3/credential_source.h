// CredentialSource: a place where credentials may come from, a link of the chain. Everything that a
// source asks of the world comes in CredentialOutside, so that tests stand in for it.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <variant>

#include "common/base/result.h"
#include "common/http/curl_client.h"
#include "common/platform/clock.h"
#include "common/s3/credential_text.h"

namespace sluice {

struct CredentialOutside {
  // The text of a file; Error::code is ENOENT where there is none. Follows links.
  std::function<Result<std::string>(const std::string& path)> read_file;
  // Blocks until the answer or the request's deadline; transient where no answer came, cancelled
  // where the process ends.
  std::function<Result<HttpResponse>(HttpRequest request)> http;
  // What a command wrote to its standard output.
  std::function<Result<std::string>(const std::string& command)> run_process;
  const Clock& clock;
};

// Nothing tells this source to give any.
struct NotConfigured {
  std::string reason;  // "AWS_ACCESS_KEY_ID is not set"
};

// An Error: the source is configured, and gave none; what failed and what to do.
using SourceAnswer = std::variant<FetchedCredentials, NotConfigured, Error>;

// For one thread. fetch() blocks for as long as its requests may take.
class CredentialSource {
 public:
  virtual ~CredentialSource() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;
  [[nodiscard]] virtual SourceAnswer fetch() = 0;
  // What it gave last cannot change while this process runs.
  [[nodiscard]] virtual bool fixed() const { return false; }
};

// The content of a file that holds one secret: what is around it is stripped. Rejected where
// nothing or more than that is in it.
Result<std::string> read_secret(const CredentialOutside& outside, const std::string& path);
// The same for the value of a header, which may have words.
Result<std::string> read_header_value(const CredentialOutside& outside, const std::string& path);

// Sends a request, and a second time where no answer came or the server failed. `who` names the
// peer in errors.
Result<HttpResponse> ask(const CredentialOutside& outside, const HttpRequest& request,
                         const std::string& who);

// The error of an answer other than 200: transient where the server failed.
Error refused(int http_status, std::string message);

// The limits of a request to a service on this machine or link.
HttpLimits link_local_limits();

}  // namespace sluice
