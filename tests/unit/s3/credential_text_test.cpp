#include "common/s3/credential_text.h"

#include <doctest/doctest.h>

#include "common/base/utc_text.h"

using namespace sluice;

namespace {

constexpr const char* kGood =
    R"({"Code": "Success", "AccessKeyId": "AKIAEXAMPLE", "SecretAccessKey": "canary",
        "Token": "canary-token", "Expiration": "2026-11-21T09:14:07Z",
        "RoleArn": "arn:aws:iam::1:role/r"})";

std::string error_of(std::string_view text) {
  const auto fetched = parse_credential_json(text);
  const std::string error = fetched ? std::string() : fetched.error().message;
  CHECK(error.find("canary") == std::string::npos);
  return error;
}

TEST_CASE("a_year_beyond_what_a_time_can_hold_is_far_away_and_not_in_the_past") {
  const auto never = parse_iso8601("9999-12-31T23:59:59Z");
  REQUIRE(never);
  CHECK(*never > WallTime(std::chrono::hours(24 * 365 * 200)));
  CHECK(utc_seconds(*never).starts_with("2262-"));
}

}  // namespace

TEST_CASE("the_answer_of_a_metadata_service_is_read") {
  const auto fetched = parse_credential_json(kGood);
  REQUIRE(fetched);
  CHECK(fetched->credentials.access_key_id == "AKIAEXAMPLE");
  CHECK(fetched->credentials.secret_access_key == "canary");
  CHECK(fetched->credentials.session_token == "canary-token");
  CHECK(fetched->origin.identity == "arn:aws:iam::1:role/r");
  CHECK(utc_seconds(fetched->origin.expires_at.value()) == "2026-11-21T09:14:07Z");
}

TEST_CASE("a_process_answers_with_a_version_and_may_leave_out_the_end") {
  const auto fetched = parse_process_output(
      R"({"Version": 1, "AccessKeyId": "A", "SecretAccessKey": "S", "SessionToken": "T",
          "AccountId": "123"})");
  REQUIRE(fetched);
  CHECK(fetched->credentials.session_token == "T");
  CHECK(fetched->origin.identity == "account 123");
  CHECK_FALSE(fetched->origin.expires_at);
  CHECK_FALSE(parse_process_output(R"({"AccessKeyId": "A", "SecretAccessKey": "S"})"));
  CHECK_FALSE(
      parse_process_output(R"({"Version": 2, "AccessKeyId": "A", "SecretAccessKey": "S"})"));
}

TEST_CASE("s16_html_half_answers_and_failures_are_errors_that_show_nothing") {
  CHECK(error_of("<html>canary</html>").find("HTML") != std::string::npos);
  CHECK(error_of("canary").find("no JSON object") != std::string::npos);
  CHECK(error_of("").find("no JSON object") != std::string::npos);
  CHECK(error_of(std::string(kGood).substr(0, 80)).find("no JSON object") != std::string::npos);
  CHECK(error_of(R"({"Code": "AssumeRoleUnauthorizedAccess"})") ==
        "the answer's code is AssumeRoleUnauthorizedAccess");
  CHECK(error_of(R"({"AccessKeyId": "A"})").find("secret access key is missing") !=
        std::string::npos);
  CHECK(error_of(R"({"SecretAccessKey": "canary"})").find("key id is missing") !=
        std::string::npos);
  CHECK(error_of(R"({"AccessKeyId": "A", "SecretAccessKey": "canary\r\nX: y"})").find("control") !=
        std::string::npos);
  CHECK(error_of(R"({"AccessKeyId": 7, "SecretAccessKey": "canary"})") != "");
  CHECK(error_of(R"({"AccessKeyId": "A", "SecretAccessKey": "canary", "Expiration": "soon"})") !=
        "");
}

TEST_CASE("times_are_read_with_fractions_and_offsets") {
  const WallTime noon{std::chrono::seconds(1'795'262'400)};
  CHECK(utc_seconds(noon) == "2026-11-21T12:00:00Z");
  for (const char* text : {"2026-11-21T12:00:00Z", "2026-11-21T12:00:00.999Z",
                           "2026-11-21T13:30:00+01:30", "2026-11-21T11:00:00-0100"}) {
    CAPTURE(text);
    CHECK(parse_iso8601(text) == noon);
  }
  for (const char* text :
       {"", "2026-11-21", "2026-11-21T12:00:00", "2026-13-21T12:00:00Z", "2026-11-21T12:00:00+1",
        "2026-11-21T12:00:00Zx", "x026-11-21T12:00:00Z", "2026-11-21T-1:00:00Z"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_iso8601(text));
  }
}

TEST_CASE("c1_an_origin_shows_four_characters_of_a_key_id_and_none_of_a_short_one") {
  CHECK(key_id_end("AKIAIOSFODNN7EXAMPLE") == "MPLE");
  CHECK(key_id_end("AKIA123").empty());
  CredentialOrigin origin{.source = "the environment", .key_id_end = "MPLE"};
  CHECK(describe(origin) == "from the environment, key id …MPLE, without an end");
  origin.identity = "account 123";
  origin.expires_at = WallTime(std::chrono::seconds(0));
  CHECK(describe(origin) ==
        "from the environment, for account 123, key id …MPLE, until 1970-01-01T00:00:00Z");
}
