// AWS's test suite for Signature Version 4, tests/data/sigv4/suite.json, against the pure
// functions.
#include <doctest/doctest.h>

#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "common/http/raw_request.h"
#include "common/s3/sigv4.h"

namespace sluice::sigv4 {
namespace {

using nlohmann::json;

json suite() {
  std::ifstream in(SLUICE_SOURCE_ROOT "/tests/data/sigv4/suite.json", std::ios::binary);
  REQUIRE(in);
  return json::parse(in);
}

Scope scope_of(const json& all) {
  const auto time = parse_amz_date(all.at("timestamp").get<std::string>());
  REQUIRE(time);
  return {.region = all.at("region"), .service = all.at("service"), .time = *time};
}

PathRules rules_of(const json& one) {
  return {.encode_twice = true, .normalize = one.value("normalize", true)};
}

// What every form of signing begins with: the request, and its body's hash where it is signed.
Request request_of(const json& one) {
  const auto raw = parse_raw_request(one.at("request").get<std::string>());
  REQUIRE(raw);
  Request request{.method = raw->method,
                  .path = raw->path,
                  .query = raw->query,
                  .headers = raw->headers,
                  .payload_hash = payload_hash(raw->body)};
  if (const std::string* given = raw->header("x-amz-content-sha256"); given != nullptr) {
    request.payload_hash = *given;
  } else if (one.value("sign_body", false)) {
    request.headers.emplace_back("x-amz-content-sha256", request.payload_hash);
  }
  return request;
}

std::string signed_token(const json& one) {
  return one.value("omit_session_token", false) ? "" : one.value("token", "");
}

TEST_CASE("aws_test_suite_is_signed_in_headers_as_published") {
  const json all = suite();
  const Scope scope = scope_of(all);
  const SigningKey key =
      signing_key(all.at("credentials").at("secret_access_key").get<std::string>(), scope);
  int cases = 0;
  for (const json& one : all.at("cases")) {
    CAPTURE(one.at("name").get<std::string>());
    Request request = request_of(one);
    request.headers.emplace_back("X-Amz-Date", amz_date(scope.time));
    if (const std::string token = signed_token(one); !token.empty()) {
      request.headers.emplace_back("X-Amz-Security-Token", token);
    }
    const std::string canonical = canonical_request(request, rules_of(one));
    CHECK(canonical == one.at("canonical_request").get<std::string>());
    CHECK(string_to_sign(scope, canonical) == one.at("string_to_sign").get<std::string>());
    const std::string id = all.at("credentials").at("access_key_id");
    CHECK(
        authorization({.access_key_id = id, .key = key, .scope = scope}, request, rules_of(one)) ==
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        "SignedHeaders=" +
            signed_headers(request) + ", Signature=" + one.at("signature").get<std::string>());
    ++cases;
  }
  CHECK(cases == 42);
}

TEST_CASE("aws_test_suite_is_signed_in_the_query_as_published") {
  const json all = suite();
  const Scope scope = scope_of(all);
  const SigningKey key =
      signing_key(all.at("credentials").at("secret_access_key").get<std::string>(), scope);
  int cases = 0;
  for (const json& one : all.at("cases")) {
    if (!one.contains("query_signature")) {
      continue;
    }
    CAPTURE(one.at("name").get<std::string>());
    Request request = request_of(one);
    const std::string token = signed_token(one);
    add_presign_parameters({.access_key_id = "AKIDEXAMPLE",
                            .session_token = token,
                            .scope = scope,
                            .expires = std::chrono::seconds(all.at("expires_seconds"))},
                           request);
    const std::string canonical = canonical_request(request, rules_of(one));
    CHECK(signature(key, string_to_sign(scope, canonical)) ==
          one.at("query_signature").get<std::string>());
    ++cases;
  }
  CHECK(cases == 36);
}

}  // namespace
}  // namespace sluice::sigv4
