#include "common/s3/credential_text.h"

#include <nlohmann/json.hpp>

#include "common/base/utc_text.h"

namespace sluice {
namespace {

constexpr std::size_t kIdentityBytesMax = 256;
constexpr std::size_t kCodeBytesMax = 64;

std::string text_of(const nlohmann::json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace

std::string key_id_end(std::string_view access_key_id) {
  constexpr std::size_t kShown = 4;
  return std::string(access_key_id.size() < 2 * kShown
                         ? std::string_view()
                         : access_key_id.substr(access_key_id.size() - kShown));
}

std::string printable_cut(std::string_view text, std::size_t bytes_max) {
  std::string shown(text.substr(0, bytes_max));
  for (char& c : shown) {
    const auto byte = static_cast<unsigned char>(c);
    c = byte < 0x20 || byte >= 0x7F ? '?' : c;
  }
  return shown;
}

Status check_complete(const Credentials& credentials) {
  if (credentials.access_key_id.empty()) {
    return rejected("the access key id is missing");
  }
  if (credentials.secret_access_key.empty()) {
    return rejected("the secret access key is missing");
  }
  if (!is_header_safe(credentials.access_key_id) ||
      !is_header_safe(credentials.secret_access_key) ||
      !is_header_safe(credentials.session_token)) {
    return rejected("a space or control character in the credentials");
  }
  return {};
}

Result<FetchedCredentials> parse_credential_json(std::string_view text) {
  const auto parsed = nlohmann::json::parse(text, nullptr, false);
  if (!parsed.is_object()) {
    const std::size_t first = text.find_first_not_of(" \t\r\n");
    const bool page = first != std::string_view::npos && text[first] == '<';
    return rejected(page ? "the answer is an HTML or XML page, not JSON"
                         : "the answer is no JSON object");
  }
  const std::string code = text_of(parsed, "Code");
  if (!code.empty() && code != "Success") {
    return rejected("the answer's code is " + printable_cut(code, kCodeBytesMax));
  }
  FetchedCredentials fetched;
  Credentials& credentials = fetched.credentials;
  credentials.access_key_id = text_of(parsed, "AccessKeyId");
  credentials.secret_access_key = text_of(parsed, "SecretAccessKey");
  credentials.session_token = text_of(parsed, "Token");
  if (credentials.session_token.empty()) {
    credentials.session_token = text_of(parsed, "SessionToken");
  }
  if (Status complete = check_complete(credentials); !complete) {
    return rejected("the answer is incomplete: " + complete.error().message);
  }
  fetched.origin.identity = text_of(parsed, "RoleArn");
  if (const std::string account = text_of(parsed, "AccountId");
      fetched.origin.identity.empty() && !account.empty()) {
    fetched.origin.identity = "account " + account;
  }
  fetched.origin.identity = printable_cut(fetched.origin.identity, kIdentityBytesMax);
  if (const std::string expiration = text_of(parsed, "Expiration"); !expiration.empty()) {
    fetched.origin.expires_at = parse_iso8601(expiration);
    if (!fetched.origin.expires_at) {
      return rejected("the answer's Expiration is no time such as 2026-11-21T09:14:07Z");
    }
  }
  return fetched;
}

Result<FetchedCredentials> parse_process_output(std::string_view text) {
  const auto parsed = nlohmann::json::parse(text, nullptr, false);
  if (parsed.is_object() && (!parsed.contains("Version") || parsed.at("Version") != 1)) {
    return rejected("the answer's Version is not 1");
  }
  return parse_credential_json(text);
}

}  // namespace sluice
