// What the S3 client asks the store to keep and to confirm: checksums and terms.
#include <doctest/doctest.h>

#include "s3_client_fixture.h"

namespace sluice {
namespace {

using s3_client_test::Fixture;
using s3_client_test::Multipart;
using Kind = StoreErrorKind;

constexpr std::array kChecksums = {S3Checksum::crc32c, S3Checksum::sha256, S3Checksum::md5,
                                   S3Checksum::none};

TEST_CASE("s1_each_checksum_is_sent_signed_and_verified_by_the_store") {
  const std::map<S3Checksum, std::string> names = {{S3Checksum::crc32c, "x-amz-checksum-crc32c"},
                                                   {S3Checksum::sha256, "x-amz-checksum-sha256"},
                                                   {S3Checksum::md5, "content-md5"}};
  for (const S3Checksum checksum : kChecksums) {
    Fixture fixture({.terms = {.checksum = checksum}});
    CHECK(fixture.put("k", "hello").ok());
    const nlohmann::json headers = fixture.server.requests()[0].at("headers");
    for (const auto& [kind, name] : names) {
      CHECK(headers.contains(name) == (kind == checksum));
    }
  }
}

TEST_CASE("s1_a_store_that_confirms_no_checksum_is_judged_by_its_etag") {
  for (const S3Checksum checksum : {S3Checksum::crc32c, S3Checksum::sha256, S3Checksum::md5}) {
    Fixture fixture({.terms = {.checksum = checksum}}, {"--no-checksums"});
    fixture.server.fault({{"match", "PUT"}, {"kind", "wrong_etag"}});
    CHECK(fixture.kind_of_put("a") == Kind::retry);
    CHECK(fixture.last_error.code == "EtagMismatch");
    CHECK(fixture.put("b", "x").ok());
    Multipart upload(fixture, "c");
    fixture.server.fault({{"match", "partNumber"}, {"kind", "wrong_etag"}});
    CHECK(upload.part("c", 1, 'x').error.value_or(StoreError{}).code == "EtagMismatch");
  }
}

TEST_CASE("s1_parts_carry_their_checksums_and_the_whole_confirms_them") {
  for (const S3Checksum checksum : kChecksums) {
    Fixture fixture({.terms = {.checksum = checksum}});
    const bool kept = checksum == S3Checksum::crc32c || checksum == S3Checksum::sha256;
    Multipart upload(fixture, "k");
    if (kept) {
      fixture.server.fault({{"match", "partNumber"}, {"kind", "wrong_checksum"}});
      CHECK(upload.part("k", 1, 'x').error.value_or(StoreError{}).code == "ChecksumMismatch");
    }
    std::vector<UploadedPart> parts;
    for (std::uint32_t number = 1; number <= 3; ++number) {
      const auto part = upload.part("k", number, static_cast<char>('a' + number));
      REQUIRE(part.ok());
      CHECK(part.value.checksum.empty() != kept);
      parts.push_back(part.value);
    }
    if (kept) {
      std::vector<UploadedPart> swapped = parts;
      swapped[0].checksum = swapped[1].checksum;
      CHECK(upload.complete("k", swapped).error.value_or(StoreError{}).code == "InvalidPart");
      fixture.server.fault({{"match", "POST"}, {"kind", "wrong_checksum"}});
      CHECK(upload.complete("k", parts).error.value_or(StoreError{}).code == "ChecksumMismatch");
    } else {
      CHECK(upload.complete("k", parts).ok());
    }
    CHECK(fixture.server.objects().size() == 1);
  }
}

TEST_CASE("an_object_in_parts_is_confirmed_with_each_checksum") {
  for (const S3Checksum checksum : kChecksums) {
    Fixture fixture({.terms = {.checksum = checksum}});
    Multipart upload(fixture, "k");
    std::vector<UploadedPart> parts = {upload.part("k", 1, 'a').value,
                                       upload.part("k", 2, 'b').value};
    CHECK(upload.complete("k", parts).ok());
  }
}

TEST_CASE("terms_of_the_object_go_where_an_object_begins_and_those_of_the_request_everywhere") {
  // The server refuses the first ones anywhere else.
  Fixture fixture({.terms = {.encryption = S3Encryption::kms,
                             .kms_key_id = "alias/gate",
                             .storage_class = "STANDARD_IA",
                             .acl = "private",
                             .tags = "team=ops",
                             .expected_bucket_owner = "123456789012",
                             .request_payer = "requester"}});
  CHECK(fixture.put("k", "hello").ok());  // its ETag is no MD5
  Multipart upload(fixture, "l");
  const auto part = upload.part("l", 1, 'a');
  REQUIRE(part.ok());
  CHECK(upload.complete("l", {part.value}).ok());
  CHECK(fixture.head("k").ok());
  const auto listed =
      fixture.wait<ObjectPage>([&](auto done) { (*fixture.client)->list({}, std::move(done)); });
  CHECK(listed.value.objects.size() == 2);
  for (const auto& request : fixture.server.requests()) {
    CAPTURE(request.dump());
    CHECK(request.at("headers").at("x-amz-expected-bucket-owner") == "123456789012");
    CHECK(request.at("headers").at("x-amz-request-payer") == "requester");
  }
  Fixture other({.terms = {.expected_bucket_owner = "999999999999"}});
  CHECK(other.kind_of_put("k") == Kind::configuration);
}

}  // namespace
}  // namespace sluice
