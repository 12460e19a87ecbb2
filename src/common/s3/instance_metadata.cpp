#include "common/s3/instance_metadata.h"

#include <algorithm>

namespace sluice {
namespace {

constexpr const char* kWho = "the instance metadata service";
constexpr const char* kRoles = "/latest/meta-data/iam/security-credentials/";

bool is_role_name(std::string_view text) {
  return !text.empty() && text.size() <= 128 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("+=,.@_-").find(c) != std::string_view::npos;
  });
}

InstanceMetadataSource::Settings with_default(InstanceMetadataSource::Settings settings) {
  if (settings.endpoint_url.empty()) {
    settings.endpoint_url = "http://169.254.169.254";
  }
  while (settings.endpoint_url.ends_with('/')) {
    settings.endpoint_url.pop_back();
  }
  return settings;
}

}  // namespace

InstanceMetadataSource::InstanceMetadataSource(Settings settings, const CredentialOutside& outside)
    : settings_(with_default(std::move(settings))), outside_(outside) {}

Result<std::string> InstanceMetadataSource::session_token() const {
  HttpRequest request{.method = "PUT",
                      .url = settings_.endpoint_url + "/latest/api/token",
                      .headers = {{"x-aws-ec2-metadata-token-ttl-seconds", "300"}}};
  request.body = [](std::uint64_t /*begin*/, std::span<std::byte> /*into*/) { return 0; };
  request.limits = link_local_limits();
  request.direct = true;
  const Result<HttpResponse> response = ask(outside_, request, kWho);
  if (!response) {
    if (response.error().kind != ErrorKind::transient) {
      return response.error();
    }
    // Most likely there is none. Over more hops than the limit the answer is lost on its way into a
    // container.
    return rejected(response.error().message +
                    ". On EC2, allow it, with a hop limit of 2 for containers; elsewhere set "
                    "credentials");
  }
  if (response->status != 200) {
    return refused(response->status, std::string(kWho) + " gives no session token (HTTP " +
                                         std::to_string(response->status) +
                                         "): is it enabled on this instance?");
  }
  if (!is_header_safe(response->body) || response->body.empty()) {
    return rejected(std::string(kWho) + " gives something else than a session token");
  }
  return response->body;
}

Result<std::string> InstanceMetadataSource::get(const std::string& path,
                                                const std::string& token) const {
  HttpRequest request{.url = settings_.endpoint_url + path,
                      .headers = {{"x-aws-ec2-metadata-token", token}}};
  request.limits = link_local_limits();
  request.direct = true;
  Result<HttpResponse> response = ask(outside_, request, kWho);
  if (!response) {
    return response.error();
  }
  if (response->status == 404) {
    return rejected(std::string(kWho) + " knows of no role (HTTP 404): attach one to the instance");
  }
  if (response->status != 200) {
    return refused(response->status,
                   std::string(kWho) + " answers HTTP " + std::to_string(response->status));
  }
  return std::move(response->body);
}

SourceAnswer InstanceMetadataSource::fetch() {
  if (settings_.disabled) {
    return NotConfigured{"AWS_EC2_METADATA_DISABLED is set"};
  }
  const Result<std::string> token = session_token();
  if (!token) {
    return token.error();
  }
  const Result<std::string> roles = get(kRoles, *token);
  if (!roles) {
    return roles.error();
  }
  const std::string role = roles->substr(0, roles->find_first_of("\r\n"));
  if (!is_role_name(role)) {
    return rejected(std::string(kWho) + " answers something else than the name of a role");
  }
  const Result<std::string> text = get(kRoles + role, *token);
  if (!text) {
    return text.error();
  }
  Result<FetchedCredentials> fetched = parse_credential_json(*text);
  if (!fetched) {
    return rejected(std::string(kWho) + ": " + fetched.error().message);
  }
  fetched->origin.source = std::string(kWho) + " at " + settings_.endpoint_url;
  fetched->origin.identity = "the instance's role " + role;
  return std::move(*fetched);
}

}  // namespace sluice
