#include "common/s3/s3_headers.h"

#include <doctest/doctest.h>

#include <map>
#include <string>

namespace sluice {
namespace {

const std::string kSse = "x-amz-server-side-encryption";

std::map<std::string, std::string> headers_of(const S3Terms& terms) {
  const HttpHeaders headers =
      object_headers({.key = "k", .content_type = "a/b", .metadata = {{"segment", "s"}}}, terms);
  return {headers.begin(), headers.end()};
}

TEST_CASE("without_terms_only_type_and_metadata_are_sent") {
  CHECK(headers_of({}) ==
        std::map<std::string, std::string>{{"content-type", "a/b"}, {"x-amz-meta-segment", "s"}});
  CHECK(request_headers({}).empty());
}

TEST_CASE("each_term_has_its_header") {
  const auto headers = headers_of({.encryption = S3Encryption::kms,
                                   .kms_key_id = "arn:aws:kms:k",
                                   .kms_context = R"({"a": "b"})",
                                   .bucket_key = true,
                                   .storage_class = "STANDARD_IA",
                                   .acl = "private",
                                   .tags = "team=ops"});
  CHECK(headers.at(kSse) == "aws:kms");
  CHECK(headers.at(kSse + "-aws-kms-key-id") == "arn:aws:kms:k");
  CHECK(headers.at(kSse + "-context") == "eyJhIjogImIifQ==");
  CHECK(headers.at(kSse + "-bucket-key-enabled") == "true");
  CHECK(headers.at("x-amz-storage-class") == "STANDARD_IA");
  CHECK(headers.at("x-amz-acl") == "private");
  CHECK(headers.at("x-amz-tagging") == "team=ops");
  CHECK(headers_of({.encryption = S3Encryption::kms_dsse}).at(kSse) == "aws:kms:dsse");
  CHECK(headers_of({.encryption = S3Encryption::aes256}).at(kSse) == "AES256");
  CHECK(request_headers({.expected_bucket_owner = "123456789012", .request_payer = "requester"}) ==
        HttpHeaders{{"x-amz-expected-bucket-owner", "123456789012"},
                    {"x-amz-request-payer", "requester"}});
}

TEST_CASE("what_belongs_to_kms_is_not_sent_without_it") {
  const auto headers = headers_of({.encryption = S3Encryption::aes256, .kms_key_id = "k"});
  CHECK_FALSE(headers.contains(kSse + "-aws-kms-key-id"));
}

TEST_CASE("tags_are_encoded_each_by_itself") {
  CHECK(encoded_tags("cost centre=a+b=c&\xC3\xBC=&path=x/y@z") ==
        "cost%20centre=a%2Bb%3Dc&%C3%BC=&path=x%2Fy%40z");
  CHECK(encoded_tags("").empty());
}

}  // namespace
}  // namespace sluice
