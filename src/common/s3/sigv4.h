// AWS Signature Version 4, as pure functions: the request and the time go in, strings come out.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/units.h"
#include "common/s3/credentials.h"

namespace sluice::sigv4 {

inline constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";
inline constexpr std::string_view kUnsignedPayload = "UNSIGNED-PAYLOAD";
// The body follows in chunks, each signed by itself.
inline constexpr std::string_view kChunkedPayload = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
inline constexpr std::string_view kChunkedPayloadTrailer =
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
// SHA-256 of nothing.
inline constexpr std::string_view kEmptyPayload =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

using Headers = std::vector<std::pair<std::string, std::string>>;

struct Request {
  std::string method;
  std::string path = "/";  // as it goes over the wire
  std::string query = {};  // as it goes over the wire, without '?'
  // All of these are signed; "host" must be among them. Repeated names are joined in this order.
  Headers headers = {};
  // Lower-case hex SHA-256, or one of the words above.
  std::string payload_hash{kEmptyPayload};
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
// "20130524/us-east-1/s3/aws4_request"
std::string credential_scope(const Scope& scope);
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
// Of a request whose string to sign is known.
std::string authorization(const Authorization& by, const Request& request,
                          std::string_view string_to_sign);

// A URL that carries its signature. Adds the X-Amz- parameters to the request's query, all but the
// signature; that of the request then goes behind them as X-Amz-Signature. The date is one of the
// parameters, so no date header may be among those that are signed.
struct Presign {
  std::string_view access_key_id;
  std::string_view session_token;  // empty: there is none, or the store wants it unsigned
  const Scope& scope;
  std::chrono::seconds expires;
};
void add_presign_parameters(const Presign& presign, Request& request);

// What is signed for a chunk of a kChunkedPayload. Before the first one stands the signature of the
// request, behind the last an empty one.
struct Chunk {
  std::string_view signature_before;
  std::string_view bytes;
};
std::string chunk_string_to_sign(const Scope& scope, const Chunk& chunk);
// For the trailing headers of a kChunkedPayloadTrailer, behind the empty chunk.
struct Trailer {
  std::string_view signature_before;
  const Headers& headers;
};
std::string trailer_string_to_sign(const Scope& scope, const Trailer& trailer);

// "20130524T000000Z", and its first eight characters.
std::string amz_date(WallTime time);
std::string amz_day(WallTime time);
// Of "20130524T000000Z" or "2013-05-24T00:00:00Z"; nothing else is a time.
std::optional<WallTime> parse_amz_date(std::string_view text);

// Of a body: Request::payload_hash, and the header x-amz-content-sha256.
std::string payload_hash(std::string_view body);

// RFC 3986: everything but A-Z a-z 0-9 - . _ ~ becomes %XX; '/' too unless `keep_slash`.
std::string uri_encode(std::string_view text, bool keep_slash);

// The opposite; '%' that no two hex digits follow stands for itself, '+' for a plus.
std::string uri_decode(std::string_view text);

std::string hex(std::span<const std::uint8_t> bytes);

}  // namespace sluice::sigv4
