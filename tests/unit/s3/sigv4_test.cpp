// Published vectors: the examples of the S3 API reference (20130524) and AWS's signing test suite
// (20150830, awslabs/aws-c-auth, tests/aws-signing-test-suite/v4).
#include "common/s3/sigv4.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace sluice::sigv4 {
namespace {

using std::chrono::seconds;

const WallTime kS3Time{seconds(1369353600)};     // 2013-05-24T00:00:00Z
const WallTime kSuiteTime{seconds(1440938160)};  // 2015-08-30T12:36:00Z
constexpr const char* kS3Secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
constexpr const char* kSuiteSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

std::string authorization_of_s3(Request request) {
  const Scope scope{.region = "us-east-1", .time = kS3Time};
  request.headers.emplace_back("Host", "examplebucket.s3.amazonaws.com");
  request.headers.emplace_back("x-amz-content-sha256", request.payload_hash);
  request.headers.emplace_back("x-amz-date", amz_date(kS3Time));
  const SigningKey key = signing_key(kS3Secret, scope);
  return authorization({.access_key_id = "AKIAIOSFODNN7EXAMPLE", .key = key, .scope = scope},
                       request, PathRules::s3());
}

std::string authorization_of_suite(Request request, PathRules rules) {
  const Scope scope{.region = "us-east-1", .service = "service", .time = kSuiteTime};
  request.headers.emplace_back("Host", "example.amazonaws.com");
  request.headers.emplace_back("X-Amz-Date", amz_date(kSuiteTime));
  const SigningKey key = signing_key(kSuiteSecret, scope);
  return authorization({.access_key_id = "AKIDEXAMPLE", .key = key, .scope = scope}, request,
                       rules);
}

std::string signature_in(const std::string& authorization_header) {
  return authorization_header.substr(authorization_header.rfind('=') + 1);
}

TEST_CASE("s3_get_object_is_signed_as_documented") {
  CHECK(authorization_of_s3(
            {.method = "GET", .path = "/test.txt", .headers = {{"Range", "bytes=0-9"}}}) ==
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
        "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

TEST_CASE("s3_put_object_is_signed_as_documented") {
  const Request request{
      .method = "PUT",
      .path = "/test%24file.text",
      .headers = {{"Date", "Fri, 24 May 2013 00:00:00 GMT"},
                  {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
      .payload_hash = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"};
  CHECK(signature_in(authorization_of_s3(request)) ==
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

TEST_CASE("s3_bucket_requests_are_signed_as_documented") {
  CHECK(signature_in(authorization_of_s3({.method = "GET", .query = "lifecycle"})) ==
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
  CHECK(signature_in(authorization_of_s3({.method = "GET", .query = "prefix=J&max-keys=2"})) ==
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

struct Vector {
  const char* name;
  Request request;
  const char* signature;
};

TEST_CASE("aws_test_suite_queries_and_methods") {
  const std::string unreserved =
      "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  const std::vector<Vector> vectors = {
      {"get-vanilla",
       {.method = "GET"},
       "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
      {"post-vanilla",
       {.method = "POST"},
       "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
      {"get-vanilla-empty-query-key",
       {.method = "GET", .query = "Param1=value1"},
       "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
      {"get-vanilla-query-order-encoded",
       {.method = "GET", .query = "Param-3=Value3&Param=Value2&%E1%88%B4=Value1"},
       "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac"},
      {"get-vanilla-utf8-query",
       {.method = "GET", .query = "\xE1\x88\xB4=bar"},
       "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
      {"get-vanilla-query-unreserved",
       {.method = "GET", .query = unreserved + "=" + unreserved},
       "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
      {"get-unreserved",
       {.method = "GET", .path = "/" + unreserved},
       "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
      {"get-utf8",
       {.method = "GET", .path = "/\xE1\x88\xB4"},
       "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
  };
  for (const Vector& vector : vectors) {
    CAPTURE(vector.name);
    CHECK(signature_in(authorization_of_suite(vector.request, PathRules::others())) ==
          vector.signature);
  }
}

TEST_CASE("aws_test_suite_headers") {
  const std::vector<Vector> vectors = {
      {"get-header-value-trim",
       {.method = "GET", .headers = {{"My-Header1", " value1"}, {"My-Header2", " \"a   b   c\""}}},
       "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
      {"get-header-key-duplicate",
       {.method = "GET",
        .headers = {{"My-Header1", "value2"}, {"My-Header1", "value2"}, {"My-Header1", "value1"}}},
       "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
      {"get-header-value-order",
       {.method = "GET",
        .headers = {{"My-Header1", "value4"},
                    {"My-Header1", "value1"},
                    {"My-Header1", "value3"},
                    {"My-Header1", "value2"}}},
       "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"},
      {"get-header-value-multiline",
       {.method = "GET", .headers = {{"My-Header1", "value1\n  value2\n     value3"}}},
       "cfd34249e4b1c8d6b91ef74165d41a32e5fab3306300901bb65a51a73575eefd"},
      {"get-vanilla-with-session-token",
       {.method = "GET",
        .headers = {{"X-Amz-Security-Token",
                     "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267"}}},
       "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8"},
  };
  for (const Vector& vector : vectors) {
    CAPTURE(vector.name);
    CHECK(signature_in(authorization_of_suite(vector.request, PathRules::others())) ==
          vector.signature);
  }
}

TEST_CASE("aws_test_suite_paths_with_and_without_normalisation") {
  const auto signature_of = [](const char* path, bool normalize) {
    return signature_in(authorization_of_suite({.method = "GET", .path = path},
                                               {.encode_twice = true, .normalize = normalize}));
  };
  CHECK(signature_of("//example//", true) ==
        "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84");
  CHECK(signature_of("//example//", false) ==
        "87cca117541a147f6df867677d98a7d80dff226d2bfca9e4ffa899665623c7e5");
  CHECK(signature_of("/example1/example2/../..", true) ==
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
  CHECK(signature_of("/example space/", true) ==
        "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741");
}

TEST_CASE("s3_paths_are_encoded_once_and_those_of_others_twice") {
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
      .method = "GET", .query = "b=2&a=z&a=%2f&a=+&c", .headers = {{"host", "h"}}};
  CHECK(
      canonical_request(request, PathRules::s3()).starts_with("GET\n/\na=%2B&a=%2F&a=z&b=2&c=\n"));
}

}  // namespace
}  // namespace sluice::sigv4
