// The S3 client against a server that verifies every signature and does what stores do wrong.
#include "common/s3/s3_client.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "common/s3/store_probe.h"
#include "s3_client_fixture.h"

namespace sluice {
namespace {

using s3_client_test::Fixture;
using s3_client_test::Multipart;
using std::chrono::milliseconds;
using Kind = StoreErrorKind;

TEST_CASE("object_arrives_with_its_type_and_metadata_and_is_never_overwritten") {
  Fixture fixture;
  const std::string key = "xml events/2026/a+b=ü&c.xml";
  CHECK(fixture.put(key, "hello").ok());
  const nlohmann::json objects = fixture.server.objects();
  REQUIRE(objects.size() == 1);
  CHECK(objects[0].at("key") == key);
  CHECK(objects[0].at("content_type") == "application/xml");
  CHECK(objects[0].at("metadata") == nlohmann::json({{"segment", "s-1"}, {"digest", "abc"}}));
  CHECK(objects[0].at("bytes") == 5);

  CHECK(fixture.put(key, "other").error.value_or(StoreError{}).kind == Kind::exists);
  CHECK(fixture.server.overwrites() == 0);
  const auto head = fixture.head(key);
  REQUIRE(head.value);
  CHECK(head.value->bytes == 5);
  CHECK(head.value->metadata == ObjectMetadata{{"segment", "s-1"}, {"digest", "abc"}});
  CHECK(fixture.head("none").ok());
  CHECK_FALSE(fixture.head("none").value);
  const auto text = fixture.wait<std::optional<std::string>>(
      [&](auto done) { (*fixture.client)->get({.key = key}, std::move(done)); });
  CHECK(text.value == "hello");
}

TEST_CASE("requests_reuse_one_connection_and_no_expect_header_is_sent") {
  Fixture fixture;
  for (int i = 0; i < 5; ++i) {
    CHECK(fixture.put("k" + std::to_string(i), std::string(2'000'000, 'x')).ok());
  }
  const nlohmann::json requests = fixture.server.requests();
  REQUIRE(requests.size() == 5);
  for (const auto& request : requests) {
    CHECK(request.at("connection") == requests[0].at("connection"));
    CHECK_FALSE(request.at("headers").contains("expect"));
  }
}

TEST_CASE("bucket_in_the_host_name_is_signed_too") {
  // No name server here knows bucket.s3.test: the proxy-free client connects to the address.
  Fixture fixture({.path_style = false, .bucket = "bkt"},
                  {"--bucket", "bkt", "--host-suffix", "0.1"});
  CHECK(fixture.kind_of_put("k") == Kind::retry);  // "bkt.127.0.0.1" cannot be resolved
  CHECK(fixture.last_error.code == "NameNotResolved");
  // `localhost` has sub-domains: RFC 6761, 6.3.
  Fixture local({.path_style = false,
                 .bucket = "bkt",
                 .url = "http://localhost:" + std::to_string(fixture.server.port())},
                {});
  const StoreResult<PutOutcome> result = local.put("k", "x");
  REQUIRE(result.error);  // reached the server, which serves another suffix: signature is good
  CHECK(result.error->code == "NoSuchBucket");
}

TEST_CASE("o1_wrong_secret_and_unknown_key_say_so") {
  Fixture wrong_secret({.secret = "wrong"});
  CHECK(wrong_secret.kind_of_put("k") == Kind::refresh_credentials);
  CHECK(wrong_secret.last_error.code == "SignatureDoesNotMatch");
  // S7: what the store has to be asked about, and no key.
  const std::string text = describe(wrong_secret.last_error);
  const std::size_t at = text.find("our canonical request has the SHA-256 ");
  REQUIRE(at != std::string::npos);
  CHECK(text.find_first_not_of("0123456789abcdef", at + 38) == at + 38 + 64);
  CHECK(describe(wrong_secret.last_error).find("AWS_SECRET_ACCESS_KEY") != std::string::npos);
  CHECK_FALSE((*wrong_secret.client)->refresh_credentials());

  Fixture unknown_key({.access_key = "AKIANOBODY"});
  CHECK(unknown_key.kind_of_put("k") == Kind::configuration);
  CHECK(unknown_key.last_error.code == "InvalidAccessKeyId");

  Fixture no_key({.access_key = ""});
  CHECK(no_key.kind_of_put("k") == Kind::configuration);
  CHECK(no_key.last_error.code == "NoCredentials");
}

TEST_CASE("s2_o2_wrong_region_is_named_and_no_redirect_is_followed") {
  Fixture fixture({.region = "eu-west-1"});
  CHECK(fixture.kind_of_put("k") == Kind::configuration);
  CHECK(fixture.last_error.advice == "Set AWS_REGION=us-east-1.");

  Fixture redirected;
  redirected.server.fault({{"match", "PUT"},
                           {"status", 301},
                           {"code", "PermanentRedirect"},
                           {"region", "eu-central-1"},
                           {"headers", {{"Location", redirected.server.url() + "/elsewhere"}}}});
  CHECK(redirected.kind_of_put("k") == Kind::configuration);
  CHECK(redirected.last_error.advice == "Set AWS_REGION=eu-central-1.");
  CHECK(redirected.server.requests().size() == 1);
}

TEST_CASE("o3_s8_no_bucket_and_denied_prefix") {
  Fixture no_bucket({.bucket = "nobucket"});
  CHECK(no_bucket.kind_of_put("k") == Kind::configuration);
  CHECK(no_bucket.last_error.code == "NoSuchBucket");

  Fixture fixture;
  fixture.server.deny("quarantine/", true);
  const std::vector<PrefixProbe> probes =
      probe_store(**fixture.client, {.prefixes = {"xml-events/", "quarantine/"}, .instance = "a"});
  REQUIRE(probes.size() == 2);
  CHECK_FALSE(probes[0].error);
  CHECK_FALSE(probes[0].remove_error);
  REQUIRE(probes[1].error);
  CHECK(probes[1].error->kind == Kind::configuration);
  CHECK(probes[1].error->code == "AccessDenied");
  CHECK(fixture.server.objects().empty());
}

TEST_CASE("session_token_is_sent_and_signed") {
  Fixture fixture({.session_token = "token+/="}, {"--session-token", "token+/="});
  CHECK(fixture.put("k", "x").ok());
  fixture.server.set({{"session_token", "another"}});
  CHECK(fixture.kind_of_put("l") == Kind::refresh_credentials);
  CHECK(fixture.last_error.code == "ExpiredToken");
}

TEST_CASE("s6_the_clock_of_the_store_is_learnt_from_its_answer") {
  for (const auto& offset : {std::chrono::hours(24), -std::chrono::hours(24)}) {
    Fixture fixture;
    fixture.clock.advance(offset);
    CHECK(fixture.kind_of_put("k") == Kind::clock_skew);
    CHECK(fixture.put("k", "text of k").ok());
    fixture.clock.advance(-offset);  // and when our clock is set right
    CHECK(fixture.kind_of_put("l") == Kind::clock_skew);
    CHECK(fixture.put("l", "x").ok());
  }
}

TEST_CASE("s5_s6_a_head_that_is_refused_without_a_reason_is_asked_again_by_what_can_be_learnt") {
  Fixture skewed;
  skewed.clock.advance(std::chrono::hours(24));
  auto head = skewed.head("k");
  REQUIRE(head.error);
  CHECK(head.error->kind == Kind::clock_skew);
  head = skewed.head("k");
  CHECK(head.ok());
  CHECK_FALSE(head.value);

  Fixture expired({.session_token = "one"}, {"--session-token", "another"});
  head = expired.head("k");
  REQUIRE(head.error);
  CHECK(head.error->kind == Kind::refresh_credentials);

  Fixture denied;
  denied.server.fault({{"match", "HEAD"}, {"status", 403}, {"code", "AccessDenied"}});
  head = denied.head("k");
  REQUIRE(head.error);
  CHECK(head.error->kind == Kind::configuration);
}

TEST_CASE("s1_error_in_a_200_wrong_checksum_and_truncated_answers_are_failures") {
  Fixture fixture;
  fixture.server.fault({{"match", "PUT"}, {"kind", "error200"}});
  CHECK(fixture.kind_of_put("a") == Kind::retry);
  CHECK(fixture.last_error.code == "InternalError");
  fixture.server.fault({{"match", "PUT"}, {"kind", "wrong_checksum"}});
  CHECK(fixture.kind_of_put("b") == Kind::retry);
  CHECK(fixture.last_error.code == "ChecksumMismatch");
  fixture.server.fault({{"match", "PUT"}, {"kind", "truncate"}});
  CHECK(fixture.kind_of_put("c") == Kind::retry);
  CHECK(fixture.put("a", "text of a").ok());
  CHECK(fixture.put("c", "text of c").ok());
}

TEST_CASE("s11_resets_and_server_errors_are_transient") {
  Fixture fixture;
  const std::vector<nlohmann::json> faults = {
      {{"kind", "reset"}},
      {{"kind", "reset"}, {"after_body", true}},
      {{"kind", "status"}, {"status", 500}, {"code", "InternalError"}},
      {{"kind", "status"}, {"status", 502}, {"body", "<html>bad gateway</html>"}},
      {{"kind", "status"}, {"status", 504}, {"body", ""}}};
  for (const nlohmann::json& fault : faults) {
    CAPTURE(fault.dump());
    fixture.server.fault(fault);
    CHECK(fixture.kind_of_put("k") == Kind::retry);
  }
  CHECK(fixture.put("k", "x").ok());
  Fixture refused({.url = "http://127.0.0.1:1"});
  CHECK(refused.kind_of_put("k") == Kind::retry);
  CHECK(refused.last_error.code == "ConnectionFailed");
  Fixture unknown({.url = "http://no-such-host.invalid"});
  CHECK(unknown.kind_of_put("k") == Kind::retry);
}

TEST_CASE("s11_a_lost_reply_is_found_by_the_second_attempt") {
  Fixture fixture;
  fixture.server.fault({{"match", "PUT"}, {"kind", "lost_reply"}});
  CHECK(fixture.kind_of_put("k") == Kind::retry);
  CHECK(fixture.kind_of_put("k") == Kind::exists);
  CHECK(fixture.head("k").value.has_value());
  CHECK(fixture.server.overwrites() == 0);
}

TEST_CASE("s10_slow_down_carries_what_the_store_asks_for") {
  Fixture fixture;
  fixture.server.fault(
      {{"status", 503}, {"code", "SlowDown"}, {"headers", {{"Retry-After", "7"}}}});
  CHECK(fixture.kind_of_put("k") == Kind::retry);
  CHECK(fixture.last_error.slow_down);
  CHECK(fixture.last_error.retry_after == milliseconds(7000));
}

TEST_CASE("s13_slow_endless_and_oversized_answers_end") {
  Fixture fixture;
  for (const char* kind : {"stall", "drip", "huge", "headers"}) {
    CAPTURE(kind);
    fixture.server.fault({{"kind", kind}, {"seconds", 20}});
    const auto begin = std::chrono::steady_clock::now();
    CHECK(fixture.kind_of_put("k") == Kind::retry);
    CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(10));
  }
  CHECK(fixture.put("k", "x").ok());
}

TEST_CASE("s4_after_a_garbled_request_the_next_takes_a_new_connection") {
  Fixture fixture;
  fixture.server.fault({{"status", 400}, {"code", "RequestTimeout"}});
  CHECK(fixture.kind_of_put("k") == Kind::retry);
  CHECK(fixture.put("k", "x").ok());
  const nlohmann::json requests = fixture.server.requests();
  REQUIRE(requests.size() == 2);
  CHECK(requests[0].at("connection") != requests[1].at("connection"));
}

TEST_CASE("multipart_upload_makes_one_object") {
  Fixture fixture;
  Multipart upload(fixture, "k");
  const auto second = upload.part("k", 2, 'b');
  const auto first = upload.part("k", 1, 'a');
  CHECK(fixture.server.objects().empty());
  CHECK(upload.complete("k", {first.value, second.value}).ok());
  const nlohmann::json objects = fixture.server.objects();
  REQUIRE(objects.size() == 1);
  CHECK(objects[0].at("bytes") == 10 * kMiB);
  CHECK(objects[0].at("content_type") == "a/b");
  CHECK(objects[0].at("metadata") == nlohmann::json({{"segment", "s"}}));
}

TEST_CASE("s18_a_complete_that_fails_in_a_200_or_is_lost_is_a_failure") {
  Fixture fixture;
  Multipart upload(fixture, "k");
  const auto part = upload.part("k", 1, 'a');
  fixture.server.fault({{"match", "POST"}, {"kind", "error200"}});
  CHECK(upload.complete("k", {part.value}).error.value_or(StoreError{}).kind == Kind::retry);
  UploadedPart wrong = part.value;
  wrong.etag = "\"0\"";
  CHECK(upload.complete("k", {wrong}).error.value_or(StoreError{.kind = Kind::retry}).kind ==
        Kind::upload_lost);
  fixture.server.fault({{"match", "POST"}, {"kind", "lost_reply"}});
  // On a reused connection curl sends it again by itself: by then the upload is gone.
  CHECK(upload.complete("k", {part.value}).error.value_or(StoreError{}).kind == Kind::upload_lost);
  CHECK(fixture.head("k").value.has_value());

  Multipart other(fixture, "k");
  const auto again = other.part("k", 1, 'b');
  CHECK(other.complete("k", {again.value}).error.value_or(StoreError{}).kind == Kind::exists);
  const auto aborted = fixture.wait<ObjectStore::Nothing>([&](auto done) {
    (*fixture.client)->abort_multipart({.key = "k", .upload_id = other.id}, std::move(done));
  });
  CHECK(aborted.ok());
  CHECK(fixture.server.uploads().empty());
  CHECK(fixture.server.overwrites() == 0);
}

TEST_CASE("many_transfers_run_beside_each_other") {
  Fixture fixture;
  std::size_t done = 0;
  for (int i = 0; i < 32; ++i) {
    PutRequest request;
    request.name = {.key = "k" + std::to_string(i), .content_type = "x/y"};
    auto owner = std::make_shared<std::string>(100'000, static_cast<char>('a' + i % 26));
    request.body.append(std::as_bytes(std::span(*owner)), owner);
    (*fixture.client)->put(std::move(request), [&done](const StoreResult<PutOutcome>& result) {
      done += result.ok() ? 1 : 0;
    });
  }
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (done < 32 && std::chrono::steady_clock::now() < until) {
    (*fixture.client)->poll(until);
  }
  CHECK(done == 32);
  CHECK(fixture.server.objects().size() == 32);
}

TEST_CASE("c1_no_error_text_holds_a_secret") {
  Fixture fixture({.secret = "canary-secret", .session_token = "canary-token"});
  CHECK(fixture.kind_of_put("k") == Kind::refresh_credentials);
  const std::string text = describe(fixture.last_error) + (*fixture.client)->describe();
  CHECK(text.find("canary") == std::string::npos);
}

}  // namespace
}  // namespace sluice
