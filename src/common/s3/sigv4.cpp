#include "common/s3/sigv4.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <map>

#include "common/base/check.h"

namespace sluice::sigv4 {
namespace {

std::array<std::uint8_t, 32> sha256(std::string_view text) {
  std::array<std::uint8_t, 32> digest{};
  unsigned int bytes = 0;
  CHECK_THAT(EVP_Digest(text.data(), text.size(), digest.data(), &bytes, EVP_sha256(), nullptr) ==
             1);
  return digest;
}

std::array<std::uint8_t, 32> hmac_sha256(std::span<const std::uint8_t> key, std::string_view text) {
  std::array<std::uint8_t, 32> digest{};
  unsigned int bytes = 0;
  CHECK_THAT(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
                  reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data(),
                  &bytes) != nullptr);
  return digest;
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  if (c >= 'a' && c <= 'f') {
    return c - 'a' + 10;
  }
  if (c >= 'A' && c <= 'F') {
    return c - 'A' + 10;
  }
  return -1;
}

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(at, begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

// RFC 3986, 5.2.4, and repeated slashes become one.
std::string normalize_path(std::string_view path) {
  std::vector<std::string_view> kept;
  const std::vector<std::string_view> segments = split(path, '/');
  for (std::string_view segment : segments) {
    if (segment == "..") {
      if (!kept.empty()) {
        kept.pop_back();
      }
    } else if (!segment.empty() && segment != ".") {
      kept.push_back(segment);
    }
  }
  std::string normal;
  for (std::string_view segment : kept) {
    normal += '/';
    normal += segment;
  }
  const std::string_view last = segments.back();
  if (normal.empty() || last.empty()) {
    normal += '/';
  }
  return normal;
}

std::string canonical_path(std::string_view path, PathRules rules) {
  std::string text = rules.normalize ? normalize_path(path) : std::string(path);
  if (text.empty()) {
    text = "/";
  }
  return uri_encode(rules.encode_twice ? text : uri_decode(text), true);
}

std::string canonical_query(std::string_view query) {
  std::vector<std::pair<std::string, std::string>> parameters;
  for (std::string_view parameter : split(query, '&')) {
    if (parameter.empty()) {
      continue;  // of "a&&b": no parameter without a name
    }
    const std::size_t equals = std::min(parameter.find('='), parameter.size());
    const std::string_view value =
        equals < parameter.size() ? parameter.substr(equals + 1) : std::string_view();
    parameters.emplace_back(uri_encode(uri_decode(parameter.substr(0, equals)), false),
                            uri_encode(uri_decode(value), false));
  }
  std::sort(parameters.begin(), parameters.end());
  std::string text;
  for (const auto& [name, value] : parameters) {
    text += text.empty() ? "" : "&";
    text += name;
    text += '=';
    text += value;
  }
  return text;
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return lower;
}

// Trimmed, and every run of white space, folded lines included, becomes one space.
std::string canonical_value(std::string_view value) {
  std::string text;
  bool space = false;
  for (const char c : value) {
    if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
      space = true;
      continue;
    }
    if (space && !text.empty()) {
      text += ' ';
    }
    space = false;
    text += c;
  }
  return text;
}

std::map<std::string, std::string> canonical_headers(const Headers& headers) {
  std::map<std::string, std::string> canonical;
  for (const auto& [name, value] : headers) {
    const auto [entry, is_new] = canonical.try_emplace(lower_case(name), canonical_value(value));
    if (!is_new) {
      entry->second += "," + canonical_value(value);
    }
  }
  return canonical;
}

// A line for each, ended by a line feed.
std::string header_lines(const Headers& headers) {
  std::string text;
  for (const auto& [name, value] : canonical_headers(headers)) {
    text.append(name).append(":").append(value).append("\n");
  }
  return text;
}

// What stands above the hashes in everything that is signed.
std::string string_to_sign_head(std::string_view algorithm, const Scope& scope) {
  return std::string(algorithm) + "\n" + amz_date(scope.time) + "\n" + credential_scope(scope) +
         "\n";
}

}  // namespace

std::string hex(std::span<const std::uint8_t> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const std::uint8_t byte : bytes) {
    text += kDigits[byte >> 4U];
    text += kDigits[byte & 0xFU];
  }
  return text;
}

std::string uri_encode(std::string_view text, bool keep_slash) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string encoded;
  encoded.reserve(text.size());
  for (const char c : text) {
    const bool unreserved = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                            (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
                            c == '~' || (c == '/' && keep_slash);
    if (unreserved) {
      encoded += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      encoded += '%';
      encoded += kDigits[byte >> 4U];
      encoded += kDigits[byte & 0xFU];
    }
  }
  return encoded;
}

std::string uri_decode(std::string_view text) {
  std::string decoded;  // a plus is a plus: that it may mean a space is a rule of HTML forms
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex_value(text[i + 1]) >= 0 &&
        hex_value(text[i + 2]) >= 0) {
      decoded += static_cast<char>(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]));
      i += 2;
    } else {
      decoded += text[i];
    }
  }
  return decoded;
}

std::string amz_date(WallTime time) {
  const auto seconds = static_cast<std::time_t>(
      std::chrono::floor<std::chrono::seconds>(time.time_since_epoch()).count());
  std::tm utc{};
  CHECK_THAT(::gmtime_r(&seconds, &utc) != nullptr);
  std::array<char, 32> text{};
  CHECK_THAT(std::strftime(text.data(), text.size(), "%Y%m%dT%H%M%SZ", &utc) > 0);
  return text.data();
}

std::optional<WallTime> parse_amz_date(std::string_view text) {
  std::string basic;
  const bool extended = text.size() == 20;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool separator = i == 4 || i == 7 || i == 13 || i == 16;
    if (!extended || !separator) {
      basic += text[i];
    } else if (text[i] != (i < 10 ? '-' : ':')) {
      return std::nullopt;
    }
  }
  std::tm utc{};
  const char* end = ::strptime(basic.c_str(), "%Y%m%dT%H%M%SZ", &utc);
  if (end == nullptr || *end != '\0') {
    return std::nullopt;
  }
  const WallTime time = std::chrono::system_clock::from_time_t(::timegm(&utc));
  // strptime takes shorter numbers and a 31st of February too.
  return amz_date(time) == basic ? std::optional(time) : std::nullopt;
}

std::string payload_hash(std::string_view body) { return hex(sha256(body)); }

std::string amz_day(WallTime time) { return amz_date(time).substr(0, 8); }

std::string signed_headers(const Request& request) {
  std::string names;
  for (const auto& [name, value] : canonical_headers(request.headers)) {
    names += names.empty() ? "" : ";";
    names += name;
  }
  return names;
}

std::string canonical_request(const Request& request, PathRules rules) {
  std::string text = request.method + "\n" + canonical_path(request.path, rules) + "\n" +
                     canonical_query(request.query) + "\n" + header_lines(request.headers);
  text += "\n" + signed_headers(request) + "\n" + request.payload_hash;
  return text;
}

std::string string_to_sign(const Scope& scope, std::string_view canonical_request) {
  return string_to_sign_head(kAlgorithm, scope) + hex(sha256(canonical_request));
}

std::string credential_scope(const Scope& scope) {
  return amz_day(scope.time) + "/" + scope.region + "/" + scope.service + "/aws4_request";
}

SigningKey signing_key(std::string_view secret_access_key, const Scope& scope) {
  const std::string secret = "AWS4" + std::string(secret_access_key);
  const std::span<const std::uint8_t> bytes(reinterpret_cast<const std::uint8_t*>(secret.data()),
                                            secret.size());
  const auto day = hmac_sha256(bytes, amz_day(scope.time));
  const auto region = hmac_sha256(day, scope.region);
  const auto service = hmac_sha256(region, scope.service);
  return hmac_sha256(service, "aws4_request");
}

std::string signature(const SigningKey& key, std::string_view string_to_sign) {
  return hex(hmac_sha256(key, string_to_sign));
}

std::string authorization(const Authorization& by, const Request& request, PathRules rules) {
  return authorization(by, request, string_to_sign(by.scope, canonical_request(request, rules)));
}

std::string authorization(const Authorization& by, const Request& request,
                          std::string_view string_to_sign) {
  return std::string(kAlgorithm) + " Credential=" + std::string(by.access_key_id) + "/" +
         credential_scope(by.scope) + ", SignedHeaders=" + signed_headers(request) +
         ", Signature=" + signature(by.key, string_to_sign);
}

void add_presign_parameters(const Presign& presign, Request& request) {
  const std::string credential =
      std::string(presign.access_key_id) + "/" + credential_scope(presign.scope);
  std::string& query = request.query;
  query += query.empty() ? "" : "&";
  query.append("X-Amz-Algorithm=").append(kAlgorithm);
  query += "&X-Amz-Credential=" + uri_encode(credential, false);
  query += "&X-Amz-Date=" + amz_date(presign.scope.time);
  query += "&X-Amz-Expires=" + std::to_string(presign.expires.count());
  query += "&X-Amz-SignedHeaders=" + uri_encode(signed_headers(request), false);
  if (!presign.session_token.empty()) {
    query += "&X-Amz-Security-Token=" + uri_encode(presign.session_token, false);
  }
}

std::string chunk_string_to_sign(const Scope& scope, const Chunk& chunk) {
  return string_to_sign_head("AWS4-HMAC-SHA256-PAYLOAD", scope) +
         std::string(chunk.signature_before) + "\n" + std::string(kEmptyPayload) + "\n" +
         payload_hash(chunk.bytes);
}

std::string trailer_string_to_sign(const Scope& scope, const Trailer& trailer) {
  return string_to_sign_head("AWS4-HMAC-SHA256-TRAILER", scope) +
         std::string(trailer.signature_before) + "\n" + payload_hash(header_lines(trailer.headers));
}

}  // namespace sluice::sigv4
