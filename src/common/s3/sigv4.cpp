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

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";

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

// '+' is a plus: that it may mean a space is a rule of HTML forms, not of URIs.
std::string uri_decode(std::string_view text) {
  std::string decoded;
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
  if (!query.empty()) {
    for (std::string_view parameter : split(query, '&')) {
      const std::size_t equals = std::min(parameter.find('='), parameter.size());
      const std::string_view value =
          equals < parameter.size() ? parameter.substr(equals + 1) : std::string_view();
      parameters.emplace_back(uri_encode(uri_decode(parameter.substr(0, equals)), false),
                              uri_encode(uri_decode(value), false));
    }
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

std::map<std::string, std::string> canonical_headers(const Request& request) {
  std::map<std::string, std::string> headers;
  for (const auto& [name, value] : request.headers) {
    const auto [entry, is_new] = headers.try_emplace(lower_case(name), canonical_value(value));
    if (!is_new) {
      entry->second += "," + canonical_value(value);
    }
  }
  return headers;
}

std::string credential_scope(const Scope& scope) {
  return amz_day(scope.time) + "/" + scope.region + "/" + scope.service + "/aws4_request";
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

std::string amz_date(WallTime time) {
  const auto seconds = static_cast<std::time_t>(
      std::chrono::floor<std::chrono::seconds>(time.time_since_epoch()).count());
  std::tm utc{};
  CHECK_THAT(::gmtime_r(&seconds, &utc) != nullptr);
  std::array<char, 32> text{};
  CHECK_THAT(std::strftime(text.data(), text.size(), "%Y%m%dT%H%M%SZ", &utc) > 0);
  return text.data();
}

std::string amz_day(WallTime time) { return amz_date(time).substr(0, 8); }

std::string signed_headers(const Request& request) {
  std::string names;
  for (const auto& [name, value] : canonical_headers(request)) {
    names += names.empty() ? "" : ";";
    names += name;
  }
  return names;
}

std::string canonical_request(const Request& request, PathRules rules) {
  std::string text = request.method + "\n" + canonical_path(request.path, rules) + "\n" +
                     canonical_query(request.query) + "\n";
  for (const auto& [name, value] : canonical_headers(request)) {
    text.append(name).append(":").append(value).append("\n");
  }
  text += "\n" + signed_headers(request) + "\n" + request.payload_hash;
  return text;
}

std::string string_to_sign(const Scope& scope, std::string_view canonical_request) {
  return std::string(kAlgorithm) + "\n" + amz_date(scope.time) + "\n" + credential_scope(scope) +
         "\n" + hex(sha256(canonical_request));
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
  return std::string(kAlgorithm) + " Credential=" + std::string(by.access_key_id) + "/" +
         credential_scope(by.scope) + ", SignedHeaders=" + signed_headers(request) +
         ", Signature=" +
         signature(by.key, string_to_sign(by.scope, canonical_request(request, rules)));
}

}  // namespace sluice::sigv4
