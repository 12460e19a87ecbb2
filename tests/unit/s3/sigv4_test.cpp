// The examples of the S3 API reference (20130524), and the rules one by one. AWS's test suite is in
// sigv4_suite_test.cpp.
#include "common/s3/sigv4.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace sluice::sigv4 {
namespace {

using std::chrono::seconds;

const WallTime kS3Time{seconds(1369353600)};  // 2013-05-24T00:00:00Z
constexpr const char* kS3Secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

std::string authorization_of_s3(Request request) {
  const Scope scope{.region = "us-east-1", .time = kS3Time};
  request.headers.emplace_back("Host", "examplebucket.s3.amazonaws.com");
  request.headers.emplace_back("x-amz-content-sha256", request.payload_hash);
  request.headers.emplace_back("x-amz-date", amz_date(kS3Time));
  const SigningKey key = signing_key(kS3Secret, scope);
  return authorization({.access_key_id = "AKIAIOSFODNN7EXAMPLE", .key = key, .scope = scope},
                       request, PathRules::s3());
}

std::string signature_in(const std::string& authorization_header) {
  return authorization_header.substr(authorization_header.rfind('=') + 1);
}

TEST_CASE("get_object_of_s3_is_signed_as_documented") {
  CHECK(authorization_of_s3(
            {.method = "GET", .path = "/test.txt", .headers = {{"Range", "bytes=0-9"}}}) ==
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
        "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

TEST_CASE("put_object_of_s3_is_signed_as_documented") {
  const Request request{
      .method = "PUT",
      .path = "/test%24file.text",
      .headers = {{"Date", "Fri, 24 May 2013 00:00:00 GMT"},
                  {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
      .payload_hash = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"};
  CHECK(signature_in(authorization_of_s3(request)) ==
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

TEST_CASE("requests_of_a_bucket_of_s3_are_signed_as_documented") {
  CHECK(signature_in(authorization_of_s3({.method = "GET", .query = "lifecycle"})) ==
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
  CHECK(signature_in(authorization_of_s3({.method = "GET", .query = "prefix=J&max-keys=2"})) ==
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

TEST_CASE("presigned_url_is_signed_as_documented") {
  const Scope scope{.region = "us-east-1", .time = kS3Time};
  Request request{.method = "GET",
                  .path = "/test.txt",
                  .headers = {{"Host", "examplebucket.s3.amazonaws.com"}},
                  .payload_hash = std::string(kUnsignedPayload)};
  add_presign_parameters({.access_key_id = "AKIAIOSFODNN7EXAMPLE",
                          .session_token = "",
                          .scope = scope,
                          .expires = seconds(86400)},
                         request);
  CHECK(request.query ==
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2F"
        "us-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&"
        "X-Amz-SignedHeaders=host");
  const std::string text = string_to_sign(scope, canonical_request(request, PathRules::s3()));
  CHECK(text.ends_with("\n3bfa292879f6447bbcda7001decf97f4a54dc650c8942174ae0a9121cf58ad04"));
  CHECK(signature(signing_key(kS3Secret, scope), text) ==
        "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
}

// The signatures of the chunks, each made from the one before.
std::vector<std::string> sign_chunks(const std::string& seed,
                                     const std::vector<std::string>& chunks) {
  const Scope scope{.region = "us-east-1", .time = kS3Time};
  const SigningKey key = signing_key(kS3Secret, scope);
  std::vector<std::string> signatures{seed};
  for (const std::string& bytes : chunks) {
    signatures.push_back(signature(
        key, chunk_string_to_sign(scope, {.signature_before = signatures.back(), .bytes = bytes})));
  }
  return signatures;
}

Request chunked_request(std::string_view payload_hash) {
  return {.method = "PUT",
          .path = "/examplebucket/chunkObject.txt",
          .headers = {{"Host", "s3.amazonaws.com"},
                      {"x-amz-date", "20130524T000000Z"},
                      {"x-amz-storage-class", "REDUCED_REDUNDANCY"},
                      {"x-amz-content-sha256", std::string(payload_hash)},
                      {"Content-Encoding", "aws-chunked"},
                      {"x-amz-decoded-content-length", "66560"}},
          .payload_hash = std::string(payload_hash)};
}

std::string seed_of(const Request& request) {
  const Scope scope{.region = "us-east-1", .time = kS3Time};
  return signature(signing_key(kS3Secret, scope),
                   string_to_sign(scope, canonical_request(request, PathRules::s3())));
}

TEST_CASE("chunks_are_signed_as_documented") {
  Request request = chunked_request(kChunkedPayload);
  request.headers.emplace_back("Content-Length", "66824");
  CHECK(
      sign_chunks(seed_of(request), {std::string(65536, 'a'), std::string(1024, 'a'), ""}) ==
      std::vector<std::string>{"4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
                               "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
                               "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
                               "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"});
}

TEST_CASE("trailing_headers_behind_chunks_are_signed_as_documented") {
  Request request = chunked_request(kChunkedPayloadTrailer);
  request.headers.emplace_back("x-amz-trailer", "x-amz-checksum-crc32c");
  const auto signatures =
      sign_chunks(seed_of(request), {std::string(65536, 'a'), std::string(1024, 'a'), ""});
  CHECK(signatures == std::vector<std::string>{
                          "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
                          "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
                          "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
                          "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992"});
  const Scope scope{.region = "us-east-1", .time = kS3Time};
  const Headers trailers = {{"X-Amz-Checksum-Crc32c", " sOO8/Q=="}};
  CHECK(signature(signing_key(kS3Secret, scope),
                  trailer_string_to_sign(
                      scope, {.signature_before = signatures.back(), .headers = trailers})) ==
        "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435");
}

TEST_CASE("times_are_read_in_both_forms_of_iso_8601_and_in_no_other") {
  CHECK(parse_amz_date("20130524T000000Z") == kS3Time);
  CHECK(parse_amz_date("2013-05-24T00:00:00Z") == kS3Time);
  CHECK(parse_amz_date("2024-02-29T23:59:59Z").has_value());
  for (const char* text :
       {"", "20130524", "20130524T000000", "20130524T000000Z ", "2013-05-24 00:00:00Z",
        "2013-05-24T00:00:00", "2013-5-24T00:00:00Z", "2013-02-29T00:00:00Z", "20131324T000000Z",
        "2013:05:24T00-00-00Z", "20130524T240000Z", "+0130524T000000Z"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_amz_date(text).has_value());
  }
}

TEST_CASE("paths_of_s3_are_encoded_once_and_those_of_others_twice") {
  const Request request{.method = "GET", .path = "/a%20b/../c", .headers = {{"host", "h"}}};
  CHECK(canonical_request(request, PathRules::s3()).starts_with("GET\n/a%20b/../c\n"));
  CHECK(canonical_request(request, PathRules::others()).starts_with("GET\n/c\n"));
  const Request plain{.method = "GET", .path = "/a%20b", .headers = {{"host", "h"}}};
  CHECK(canonical_request(plain, PathRules::others()).starts_with("GET\n/a%2520b\n"));
}

TEST_CASE("unsigned_payload_stands_in_the_place_of_the_hash") {
  const Request request{
      .method = "PUT", .headers = {{"host", "h"}}, .payload_hash = std::string(kUnsignedPayload)};
  CHECK(canonical_request(request, PathRules::s3()) ==
        "PUT\n/\n\nhost:h\n\nhost\nUNSIGNED-PAYLOAD");
}

TEST_CASE("queries_are_sorted_by_encoded_name_then_value") {
  const Request request{
      .method = "GET", .query = "b=2&a=z&&a=%2f&a=+&c&", .headers = {{"host", "h"}}};
  CHECK(
      canonical_request(request, PathRules::s3()).starts_with("GET\n/\na=%2B&a=%2F&a=z&b=2&c=\n"));
}

}  // namespace
}  // namespace sluice::sigv4
