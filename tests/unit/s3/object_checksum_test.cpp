#include "common/s3/object_checksum.h"

#include <doctest/doctest.h>

#include <string>

namespace sluice {
namespace {

ObjectBody body_of(const std::string& text) {
  const auto owner = std::make_shared<std::string>(text);
  const auto bytes = std::as_bytes(std::span(*owner));
  ObjectBody body;
  body.append(bytes.first(bytes.size() / 2), owner);
  body.append(bytes.subspan(bytes.size() / 2), owner);
  return body;
}

std::string text_of(const std::string& text, S3Checksum kind) {
  const ObjectBody body = body_of(text);
  return checksum_of(body, kind, sha256_of(body)).text;
}

// Of "hello"; made with another program.
constexpr const char* kCrc32c = "mnG7TA==";
constexpr const char* kMd5Hex = "5d41402abc4b2a76b9719d911017c592";

TEST_CASE("checksums_are_base64_of_the_big_endian_value") {
  CHECK(text_of("123456789", S3Checksum::crc32c) == "4waSgw==");  // the polynomial's check value
  CHECK(text_of("hello", S3Checksum::crc32c) == kCrc32c);
  CHECK(text_of("hello", S3Checksum::sha256) == "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=");
  CHECK(text_of("hello", S3Checksum::md5) == "XUFAKrxLKna5cZ2REBfFkg==");
  CHECK(text_of("hello", S3Checksum::none).empty());
  CHECK(text_of("", S3Checksum::crc32c) == "AAAAAA==");
}

TEST_CASE("each_checksum_has_its_headers") {
  const auto headers_of = [](S3Checksum kind) {
    return checksum_headers(checksum_of(body_of("hello"), kind, Sha256{}));
  };
  CHECK(headers_of(S3Checksum::crc32c) == HttpHeaders{{"x-amz-checksum-crc32c", kCrc32c},
                                                      {"x-amz-sdk-checksum-algorithm", "CRC32C"}});
  CHECK(headers_of(S3Checksum::sha256).at(0).first == "x-amz-checksum-sha256");
  CHECK(headers_of(S3Checksum::sha256).at(1).second == "SHA256");
  CHECK(headers_of(S3Checksum::md5) == HttpHeaders{{"content-md5", "XUFAKrxLKna5cZ2REBfFkg=="}});
  CHECK(headers_of(S3Checksum::none).empty());
}

TEST_CASE("the_checksum_of_a_whole_is_that_of_its_parts_checksums") {
  std::vector<UploadedPart> parts = {{.number = 1, .etag = "", .checksum = "4waSgw=="},
                                     {.number = 2, .etag = "", .checksum = kCrc32c}};
  CHECK(composite_checksum(parts, S3Checksum::crc32c) == "P/EuhQ==-2");
  CHECK(composite_checksum(parts, S3Checksum::md5).empty());
  parts[1].checksum = "";
  CHECK(composite_checksum(parts, S3Checksum::crc32c).empty());
  parts = {{.number = 1, .etag = "", .checksum = "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="},
           {.number = 2, .etag = "", .checksum = "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="}};
  CHECK(composite_checksum(parts, S3Checksum::sha256) ==
        "LG+6aN6iIIJUl2U0qoPtCCqnzsmQfJa3Os5V6KmPN/A=-2");
}

struct Answer {
  HttpHeaders headers;
  S3Checksum kind = S3Checksum::crc32c;
  bool opaque = false;
};

std::string verdict(const Answer& answer) {
  const ObjectBody body = body_of("hello");
  const auto error =
      content_mismatch({.status = 200, .headers = answer.headers, .body = ""}, body,
                       checksum_of(body, answer.kind, sha256_of(body)), answer.opaque);
  CHECK((!error || error->kind == StoreErrorKind::retry));
  return error ? error->code : "ok";
}

TEST_CASE("s1_a_confirmed_checksum_decides_and_else_the_etag_does") {
  const std::string right = "\"" + std::string(kMd5Hex) + "\"";
  const std::string wrong = "\"00000000000000000000000000000000\"";
  const std::string opaque = "\"9b2cf535f27731c974343645a3985328-2\"";
  for (const auto kind :
       {S3Checksum::crc32c, S3Checksum::sha256, S3Checksum::md5, S3Checksum::none}) {
    CHECK(verdict({.headers = {}, .kind = kind}) == "UnexpectedAnswer");
    CHECK(verdict({.headers = {{"etag", right}}, .kind = kind}) == "ok");
    CHECK(verdict({.headers = {{"etag", opaque}}, .kind = kind}) == "ok");
    CHECK(verdict({.headers = {{"etag", wrong}}, .kind = kind}) ==
          (kind == S3Checksum::none ? "ok" : "EtagMismatch"));
  }
  CHECK(verdict({.headers = {{"etag", wrong}, {"x-amz-checksum-crc32c", kCrc32c}}}) == "ok");
  CHECK(verdict({.headers = {{"etag", right}, {"x-amz-checksum-crc32c", "AAAAAA=="}}}) ==
        "ChecksumMismatch");
  // Of another kind than was asked for: it says nothing, and the ETag decides.
  CHECK(verdict({.headers = {{"etag", wrong}, {"x-amz-checksum-sha256", "x"}}}) == "EtagMismatch");
  // Encrypted with a key of the store's choice, the ETag is no MD5.
  CHECK(verdict({.headers = {{"etag", wrong}, {"x-amz-server-side-encryption", "aws:kms"}}}) ==
        "ok");
  CHECK(verdict({.headers = {{"etag", wrong}}, .opaque = true}) == "ok");
}

}  // namespace
}  // namespace sluice
