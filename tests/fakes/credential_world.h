// What the sources of credentials ask of the world, as a test sets it up.
#pragma once

#include <cerrno>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/s3/credential_source.h"
#include "test_clock.h"

namespace sluice {

struct CredentialWorld {
  ManualClock clock;
  std::map<std::string, std::string> files;
  std::vector<HttpRequest> requests;  // in order
  std::function<Result<HttpResponse>(const HttpRequest&)> answer = [](const HttpRequest&) {
    return Result<HttpResponse>(transient("refused"));
  };
  std::vector<std::string> commands;
  Result<std::string> output = transient("ends with exit code 1");

  CredentialOutside outside{.read_file = [this](const std::string& path) -> Result<std::string> {
                              const auto found = files.find(path);
                              if (found == files.end()) {
                                return system_error("open " + path, ENOENT);
                              }
                              return found->second;
                            },
                            .http =
                                [this](HttpRequest request) {
                                  requests.push_back(std::move(request));
                                  return answer(requests.back());
                                },
                            .run_process =
                                [this](const std::string& command) {
                                  commands.push_back(command);
                                  return output;
                                },
                            .clock = clock};

  CredentialWorld() = default;
  CredentialWorld(const CredentialWorld&) = delete;
  CredentialWorld& operator=(const CredentialWorld&) = delete;
};

inline HttpResponse http_answer(int status, std::string body) {
  return {.status = status, .headers = {}, .body = std::move(body)};
}

inline std::string header_of(const HttpRequest& request, std::string_view name) {
  for (const auto& [header, value] : request.headers) {
    if (header == name) {
      return value;
    }
  }
  return {};
}

inline std::string body_of(const HttpRequest& request) {
  std::string text(request.body_bytes, '\0');
  if (request.body) {
    text.resize(request.body(0, std::as_writable_bytes(std::span(text))));
  }
  return text;
}

inline const FetchedCredentials* fetched_of(const SourceAnswer& answer) {
  return std::get_if<FetchedCredentials>(&answer);
}
inline std::string error_of(const SourceAnswer& answer) {
  const auto* error = std::get_if<Error>(&answer);
  return error == nullptr ? std::string() : error->message;
}
inline std::string reason_of(const SourceAnswer& answer) {
  const auto* nothing = std::get_if<NotConfigured>(&answer);
  return nothing == nullptr ? std::string() : nothing->reason;
}

}  // namespace sluice
