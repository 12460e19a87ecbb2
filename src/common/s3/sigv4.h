// AWS Signature Version 4, as pure functions: the request and the time go in, strings come out.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/units.h"
#include "common/s3/credentials.h"

namespace sluice::sigv4 {

inline constexpr std::string_view kUnsignedPayload = "UNSIGNED-PAYLOAD";
// SHA-256 of nothing.
inline constexpr std::string_view kEmptyPayload =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

struct Request {
  std::string method;
  std::string path = "/";  // as it goes over the wire
  std::string query = {};  // as it goes over the wire, without '?'
  // All of these are signed; "host" must be among them. Repeated names are joined in this order.
  std::vector<std::pair<std::string, std::string>> headers = {};
  std::string payload_hash{kEmptyPayload};  // lower-case hex SHA-256, or kUnsignedPayload
};

struct Scope {
  std::string region;
  std::string service = "s3";
  WallTime time{};
};

// What S3 does otherwise than every other service: the path is encoded once and left as it is.
struct PathRules {
  bool encode_twice = false;
  bool normalize = false;  // RFC 3986 dot segments and repeated slashes are resolved
  static PathRules s3() { return {}; }
  static PathRules others() { return {.encode_twice = true, .normalize = true}; }
};

using SigningKey = std::array<std::uint8_t, 32>;

std::string canonical_request(const Request& request, PathRules rules);
// Lower-case, sorted, joined with ';'.
std::string signed_headers(const Request& request);
std::string string_to_sign(const Scope& scope, std::string_view canonical_request);
// Good for one day, region and service.
SigningKey signing_key(std::string_view secret_access_key, const Scope& scope);
// Lower-case hex.
std::string signature(const SigningKey& key, std::string_view string_to_sign);

// The value of the Authorization header.
struct Authorization {
  std::string_view access_key_id;
  const SigningKey& key;
  const Scope& scope;
};
std::string authorization(const Authorization& by, const Request& request, PathRules rules);

// "20130524T000000Z", and its first eight characters.
std::string amz_date(WallTime time);
std::string amz_day(WallTime time);

// RFC 3986: everything but A-Z a-z 0-9 - . _ ~ becomes %XX; '/' too unless `keep_slash`.
std::string uri_encode(std::string_view text, bool keep_slash);

std::string hex(std::span<const std::uint8_t> bytes);

}  // namespace sluice::sigv4
