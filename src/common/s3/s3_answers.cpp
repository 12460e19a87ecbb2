#include "common/s3/s3_answers.h"

#include <algorithm>
#include <charconv>
#include <ctime>

namespace sluice {

std::string_view unquoted(std::string_view etag) {
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') {
    etag = etag.substr(1, etag.size() - 2);
  }
  return etag;
}

bool etag_is_md5(const HttpResponse& response) {
  const std::string_view etag = unquoted(response.header("etag"));
  const std::string_view encryption = response.header("x-amz-server-side-encryption");
  const auto is_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  return etag.size() == 32 && std::all_of(etag.begin(), etag.end(), is_hex) &&
         (encryption.empty() || encryption == "AES256") &&
         response.header("x-amz-server-side-encryption-customer-algorithm").empty();
}

std::optional<WallTime> parse_http_date(std::string_view text) {
  std::tm utc{};
  const std::string copy(text);
  const char* end = ::strptime(copy.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &utc);
  if (end == nullptr || *end != '\0') {
    return std::nullopt;
  }
  return wall_time_of(::timegm(&utc));
}

std::optional<WallTime> parse_iso_date(std::string_view text) {
  std::tm utc{};
  const std::string copy(text);
  const char* end = ::strptime(copy.c_str(), "%Y-%m-%dT%H:%M:%S", &utc);
  if (end == nullptr || (*end != '.' && *end != 'Z')) {
    return std::nullopt;
  }
  return wall_time_of(::timegm(&utc));
}

std::optional<std::chrono::milliseconds> parse_retry_after(std::string_view text) {
  std::uint32_t seconds = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (text.empty() || failure != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return std::chrono::seconds(std::min(seconds, 86'400U));
}

StoreError transport_error(const HttpError& error, const std::string& where) {
  StoreError store_error{.kind = StoreErrorKind::retry,
                         .message = error.message + " (" + where + ")"};
  switch (error.kind) {
    case HttpError::Kind::certificate:
      store_error.kind = StoreErrorKind::configuration;
      store_error.code = "CertificateError";
      store_error.advice = "Set S3_CA_FILE to the authority that signed the store's certificate.";
      break;
    case HttpError::Kind::malformed:
      store_error.code = "NoHttpAnswer";
      store_error.advice = "Check AWS_ENDPOINT_URL.";
      break;
    case HttpError::Kind::timeout:
      store_error.code = "Timeout";
      break;
    case HttpError::Kind::too_large:
      store_error.code = "AnswerTooLarge";
      break;
    case HttpError::Kind::transport:
      store_error.code = "ConnectionFailed";
      break;
    case HttpError::Kind::name:
      store_error.code = "NameNotResolved";
      store_error.advice = "Check AWS_ENDPOINT_URL, S3_PROXY and this machine's name servers.";
      break;
    case HttpError::Kind::proxy:
      store_error.http_status = error.proxy_status;
      store_error.code = "ProxyRefused";
      store_error.advice = "Check S3_PROXY, and what the proxy allows.";
      if (error.proxy_status < 500) {
        store_error.kind = StoreErrorKind::configuration;
      }
      break;
  }
  return store_error;
}

StoreError unexpected_answer(const HttpResponse& response, std::string message) {
  return {.kind = StoreErrorKind::retry,
          .http_status = response.status,
          .code = "UnexpectedAnswer",
          .message = std::move(message)};
}

}  // namespace sluice
