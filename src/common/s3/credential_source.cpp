#include "common/s3/credential_source.h"

namespace sluice {

Result<std::string> read_secret(const CredentialOutside& outside, const std::string& path) {
  Result<std::string> secret = read_header_value(outside, path);
  if (secret && !is_header_safe(*secret)) {
    return rejected(path + " holds more than printable ASCII without spaces");
  }
  return secret;
}

Result<std::string> read_header_value(const CredentialOutside& outside, const std::string& path) {
  Result<std::string> text = outside.read_file(path);
  if (!text) {
    return text.error();
  }
  const std::size_t begin = text->find_first_not_of(" \t\r\n");
  if (begin == std::string::npos) {
    return rejected(path + " is empty");
  }
  std::string value = text->substr(begin, text->find_last_not_of(" \t\r\n") - begin + 1);
  if (!is_header_value(value)) {
    return rejected(path + " holds more than one line of printable ASCII");
  }
  return value;
}

Result<HttpResponse> ask(const CredentialOutside& outside, const HttpRequest& request,
                         const std::string& who) {
  for (int tries_left = 1;; --tries_left) {
    Result<HttpResponse> response = outside.http(request);
    const bool failed =
        response ? response->status >= 500 : response.error().kind == ErrorKind::transient;
    if (failed && tries_left > 0) {
      continue;
    }
    if (!response && response.error().kind == ErrorKind::transient) {
      return transient(who + " does not answer: " + response.error().message);
    }
    return response;
  }
}

Error refused(int http_status, std::string message) {
  return http_status >= 500 ? transient(std::move(message)) : rejected(std::move(message));
}

HttpLimits link_local_limits() {
  HttpLimits limits;
  limits.connect_timeout = std::chrono::seconds(1);
  limits.deadline = std::chrono::seconds(3);
  limits.body_bytes_max = 64 * kKiB;
  return limits;
}

}  // namespace sluice
