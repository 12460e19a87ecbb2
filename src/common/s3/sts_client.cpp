#include "common/s3/sts_client.h"

#include <algorithm>
#include <memory>
#include <span>
#include <utility>

#include "common/base/utc_text.h"
#include "common/s3/object_store.h"
#include "common/s3/s3_error.h"
#include "common/s3/sigv4.h"

namespace sluice {
namespace {

constexpr const char* kFormType = "application/x-www-form-urlencoded; charset=utf-8";
constexpr std::size_t kTokenBytesMax = 16 * kKiB;

std::string form_of(const char* action, const RoleRequest& role) {
  std::string form = std::string("Action=") + action + "&Version=2011-06-15";
  const auto add = [&form](const char* name, const std::string& value) {
    if (!value.empty()) {
      form += std::string("&") + name + "=" + sigv4::uri_encode(value, false);
    }
  };
  add("RoleArn", role.role_arn);
  add("RoleSessionName", role.session_name.empty() ? "sluice" : role.session_name);
  add("ExternalId", role.external_id);
  add("DurationSeconds", role.duration_seconds);
  return form;
}

// "host[:port]" and the path of an URL whose form the settings have checked.
std::pair<std::string, std::string> host_and_path(const std::string& url) {
  const std::size_t begin = url.find("://") + 3;
  const std::size_t slash = std::min(url.find('/', begin), url.size());
  std::string path = url.substr(slash);
  return {url.substr(begin, slash - begin), path.empty() ? "/" : path};
}

std::string refusal(const HttpResponse& response, const std::string& who) {
  const std::string code = printable_cut(element_text(response.body, {.name = "Code"}), 64);
  const std::string message = printable_cut(element_text(response.body, {.name = "Message"}), 512);
  return who + " refuses (HTTP " + std::to_string(response.status) + ")" +
         (code.empty() ? "" : ": " + code) + (message.empty() ? "" : ": " + message);
}

}  // namespace

StsClient::StsClient(Options options, const CredentialOutside& outside)
    : options_(std::move(options)), outside_(outside) {}

std::string StsClient::url() const {
  if (!options_.endpoint_url.empty()) {
    return options_.endpoint_url;
  }
  return "https://sts." + options_.region + ".amazonaws.com" +
         (options_.region.starts_with("cn-") ? ".cn" : "");
}

Result<FetchedCredentials> StsClient::send(std::string form, HttpHeaders headers) const {
  const std::string who = "STS at " + url();
  HttpRequest request{.method = "POST", .url = url(), .headers = std::move(headers)};
  request.limits.connect_timeout = std::chrono::seconds(5);
  request.limits.deadline = std::chrono::seconds(15);
  request.limits.body_bytes_max = 64 * kKiB;
  request.body_bytes = form.size();
  const auto text = std::make_shared<const std::string>(std::move(form));
  request.body = [text](std::uint64_t begin, std::span<std::byte> into) {
    return begin >= text->size()
               ? 0
               : text->copy(reinterpret_cast<char*>(into.data()), into.size(), begin);
  };
  Result<HttpResponse> response = ask(outside_, request, who);
  if (!response) {
    return response.error();
  }
  const std::string& body = response->body;
  if (response->status != 200) {
    return refused(response->status, refusal(*response, who) +
                                         ". Look at the role's trust policy, and at AWS_REGION");
  }
  FetchedCredentials fetched;
  fetched.credentials = {
      .access_key_id = element_text(body, {.name = "AccessKeyId"}),
      .secret_access_key = element_text(body, {.name = "SecretAccessKey"}),
      .session_token = element_text(body, {.name = "SessionToken", .bytes_max = kTokenBytesMax})};
  fetched.origin.expires_at = parse_iso8601(element_text(body, {.name = "Expiration"}));
  fetched.origin.identity = printable_cut(element_text(body, {.name = "Arn"}), 256);
  if (Status complete = check_complete(fetched.credentials);
      !complete || !fetched.origin.expires_at) {
    return rejected(who + " answers something else than credentials. Check AWS_ENDPOINT_URL_STS");
  }
  return fetched;
}

Result<FetchedCredentials> StsClient::assume_role(const Credentials& by,
                                                  const RoleRequest& role) const {
  std::string form = form_of("AssumeRole", role);
  ObjectBody body;
  body.append(std::as_bytes(std::span(form)), nullptr);
  const auto [host, path] = host_and_path(url());
  const sigv4::Scope scope{
      .region = options_.region, .service = "sts", .time = outside_.clock.wall_now()};
  sigv4::Request request{.method = "POST",
                         .path = path,
                         .headers = {{"content-type", kFormType},
                                     {"host", host},
                                     {"x-amz-date", sigv4::amz_date(scope.time)}},
                         .payload_hash = sigv4::hex(sha256_of(body))};
  if (!by.session_token.empty()) {
    request.headers.emplace_back("x-amz-security-token", by.session_token);
  }
  const sigv4::SigningKey key = sigv4::signing_key(by.secret_access_key, scope);
  std::string authorization =
      sigv4::authorization({.access_key_id = by.access_key_id, .key = key, .scope = scope}, request,
                           sigv4::PathRules::others());
  request.headers.emplace_back("authorization", std::move(authorization));
  return send(std::move(form), std::move(request.headers));
}

Result<FetchedCredentials> StsClient::assume_role_with_web_identity(const std::string& token,
                                                                    const RoleRequest& role) const {
  return send(form_of("AssumeRoleWithWebIdentity", role) +
                  "&WebIdentityToken=" + sigv4::uri_encode(token, false),
              {{"content-type", kFormType}});
}

}  // namespace sluice
