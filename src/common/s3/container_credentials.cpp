#include "common/s3/container_credentials.h"

#include <arpa/inet.h>

#include <algorithm>

namespace sluice {
namespace {

constexpr const char* kEcsAgent = "http://169.254.170.2";

bool is_loopback(const std::string& address) {
  in_addr v4{};
  if (::inet_pton(AF_INET, address.c_str(), &v4) == 1) {
    return (ntohl(v4.s_addr) >> 24U) == 127;
  }
  in6_addr v6{};
  return ::inet_pton(AF_INET6, address.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6) != 0;
}

bool is_same_v6(const std::string& address, const char* other) {
  in6_addr left{};
  in6_addr right{};
  return ::inet_pton(AF_INET6, address.c_str(), &left) == 1 &&
         ::inet_pton(AF_INET6, other, &right) == 1 && IN6_ARE_ADDR_EQUAL(&left, &right) != 0;
}

}  // namespace

bool is_container_endpoint(std::string_view url) {
  if (!is_header_safe(url) || url.find_first_of("@\\") != std::string_view::npos) {
    return false;  // a user name in front of the host is not what it looks like
  }
  if (url.starts_with("https://")) {
    return url.size() > 8;
  }
  constexpr std::string_view kHttp = "http://";
  if (!url.starts_with(kHttp)) {
    return false;
  }
  url = url.substr(kHttp.size());
  url = url.substr(0, std::min(url.find_first_of("/?#"), url.size()));
  std::string host;
  if (url.starts_with('[')) {
    const std::size_t end = url.find(']');
    if (end == std::string_view::npos) {
      return false;
    }
    host = url.substr(1, end - 1);
  } else {
    host = url.substr(0, std::min(url.find(':'), url.size()));
  }
  return host == "localhost" || is_loopback(host) || host == "169.254.170.2" ||
         host == "169.254.170.23" || is_same_v6(host, "fd00:ec2::23");
}

Result<std::string> ContainerSource::token() const {
  if (!settings_.token_file.empty()) {
    return read_header_value(outside_, settings_.token_file);
  }
  return settings_.token;
}

SourceAnswer ContainerSource::fetch() {
  std::string url = settings_.full_uri;
  if (!settings_.relative_uri.empty()) {
    if (settings_.relative_uri.front() != '/') {
      return rejected("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI must begin with '/'");
    }
    url = kEcsAgent + settings_.relative_uri;
  }
  if (url.empty()) {
    return NotConfigured{
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and AWS_CONTAINER_CREDENTIALS_FULL_URI are not "
        "set"};
  }
  if (!is_container_endpoint(url)) {
    return rejected(
        "AWS_CONTAINER_CREDENTIALS_FULL_URI must be https, or http to this machine, 169.254.170.2, "
        "169.254.170.23 or [fd00:ec2::23]");
  }
  HttpRequest request{.url = url, .headers = {{"accept", "application/json"}}};
  request.limits = link_local_limits();
  request.direct = true;
  const Result<std::string> authorization = token();
  if (!authorization) {
    return rejected("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: " + authorization.error().message);
  }
  if (!is_header_value(*authorization)) {
    return rejected("a control character in AWS_CONTAINER_AUTHORIZATION_TOKEN");
  }
  if (!authorization->empty()) {
    request.headers.emplace_back("authorization", *authorization);
  }
  // The path may hold what identifies the task: only the host is named.
  const std::string who =
      "the container's endpoint " + url.substr(0, url.find_first_of("/?", url.find("://") + 3));
  const Result<HttpResponse> response = ask(outside_, request, who);
  if (!response) {
    return response.error();
  }
  if (response->status != 200) {
    return refused(response->status, who + " answers HTTP " + std::to_string(response->status) +
                                         ". Is a role associated with this task or pod, and its "
                                         "agent up?");
  }
  Result<FetchedCredentials> fetched = parse_credential_json(response->body);
  if (!fetched) {
    return rejected(who + ": " + fetched.error().message);
  }
  fetched->origin.source = who;
  return std::move(*fetched);
}

}  // namespace sluice
