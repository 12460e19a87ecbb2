// The links that are no profile: environment, run secrets, web identity, container, instance.
#include <doctest/doctest.h>

#include "common/s3/container_credentials.h"
#include "common/s3/instance_metadata.h"
#include "common/s3/static_credentials.h"
#include "common/s3/web_identity.h"
#include "fakes/credential_world.h"

using namespace sluice;

namespace {

constexpr const char* kAnswer =
    R"({"Code": "Success", "AccessKeyId": "ASIAEXAMPLE1", "SecretAccessKey": "canary",
        "Token": "token", "Expiration": "2026-11-21T09:14:07Z"})";

bool holds(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace

TEST_CASE("c5_keys_of_the_environment_and_its_files_may_be_mixed") {
  CredentialWorld world;
  world.files = {{"/s/secret", "canary-secret\n"}, {"/s/token", "\ncanary-token\r\n"}};
  EnvironmentSource plain({.access_key_id = "AKIA", .secret_access_key = "s"}, world.outside);
  const SourceAnswer answer = plain.fetch();
  REQUIRE(fetched_of(answer));
  CHECK(fetched_of(answer)->origin.source == "the environment");
  CHECK(plain.fixed());

  EnvironmentSource mixed({.access_key_id = "AKIA",
                           .secret_access_key_file = "/s/secret",
                           .session_token_file = "/s/token"},
                          world.outside);
  const SourceAnswer from_files = mixed.fetch();
  REQUIRE(fetched_of(from_files));
  CHECK(fetched_of(from_files)->credentials.secret_access_key == "canary-secret");
  CHECK(fetched_of(from_files)->credentials.session_token == "canary-token");
  CHECK(fetched_of(from_files)->origin.source ==
        "AWS_SECRET_ACCESS_KEY_FILE=/s/secret, AWS_SESSION_TOKEN_FILE=/s/token");
  CHECK_FALSE(mixed.fixed());
  world.files["/s/secret"] = "rotated";
  CHECK(fetched_of(mixed.fetch())->credentials.secret_access_key == "rotated");
}

TEST_CASE("c1_half_a_key_and_bad_files_are_errors_that_name_the_file_and_not_what_is_in_it") {
  CredentialWorld world;
  EnvironmentSource nothing({.session_token = "t"}, world.outside);
  CHECK(holds(reason_of(nothing.fetch()), "AWS_ACCESS_KEY_ID"));
  EnvironmentSource half({.access_key_id = "AKIA"}, world.outside);
  CHECK(holds(error_of(half.fetch()), "neither AWS_SECRET_ACCESS_KEY nor"));
  EnvironmentSource file({.access_key_id = "AKIA", .secret_access_key_file = "/s"}, world.outside);
  CHECK(holds(error_of(file.fetch()), "AWS_SECRET_ACCESS_KEY_FILE: open /s"));
  for (const char* content :
       {"", " \n", "canary two", "canary\nline", "can\x01ry", "canar\xC3\xA9"}) {
    CAPTURE(content);
    world.files["/s"] = content;
    const std::string error = error_of(file.fetch());
    CHECK(holds(error, "/s "));
    CHECK_FALSE(holds(error, "cana"));
  }
}

TEST_CASE("c5_run_secrets_have_upper_or_lower_case_names") {
  CredentialWorld world;
  RunSecretsSource source("/run/secrets", world.outside);
  CHECK(holds(reason_of(source.fetch()), "/run/secrets"));
  world.files = {{"/run/secrets/AWS_ACCESS_KEY_ID", "AKIA\n"}};
  CHECK(holds(error_of(source.fetch()), "secret access key is missing"));
  world.files["/run/secrets/aws_secret_access_key"] = "canary";
  const SourceAnswer answer = source.fetch();
  REQUIRE(fetched_of(answer));
  CHECK(fetched_of(answer)->credentials.access_key_id == "AKIA");
  CHECK(fetched_of(answer)->origin.source == "the files in /run/secrets");
}

TEST_CASE("c5_a_web_identity_is_sent_unsigned_and_its_file_read_for_every_fetch") {
  CredentialWorld world;
  const StsClient sts({.region = "eu-central-1"}, world.outside);
  WebIdentitySource source({.token_file = "/token", .role = {.role_arn = "arn:aws:iam::1:role/r"}},
                           sts, world.outside);
  CHECK(holds(error_of(source.fetch()), "/token"));
  CHECK(world.requests.empty());
  world.files["/token"] = "header.canary/+.signature\n";
  world.answer = [](const HttpRequest& /*request*/) -> Result<HttpResponse> {
    return http_answer(
        200,
        "<AssumeRoleWithWebIdentityResponse><Credentials><AccessKeyId>ASIA1</AccessKeyId>"
        "<SecretAccessKey>s&amp;s</SecretAccessKey><SessionToken>tt==</SessionToken>"
        "<Expiration>2026-11-21T09:14:07Z</Expiration></Credentials><AssumedRoleUser>"
        "<Arn>arn:aws:sts::1:assumed-role/r/sluice</Arn></AssumedRoleUser>"
        "</AssumeRoleWithWebIdentityResponse>");
  };
  const SourceAnswer answer = source.fetch();
  REQUIRE(fetched_of(answer));
  CHECK(fetched_of(answer)->credentials.secret_access_key == "s&s");
  CHECK(fetched_of(answer)->origin.identity == "arn:aws:sts::1:assumed-role/r/sluice");
  CHECK(fetched_of(answer)->origin.source == "the web identity token in /token");
  REQUIRE(world.requests.size() == 1);
  const HttpRequest& request = world.requests[0];
  CHECK(request.method == "POST");
  CHECK(request.url == "https://sts.eu-central-1.amazonaws.com");
  CHECK(header_of(request, "authorization").empty());
  CHECK(body_of(request) ==
        "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole"
        "%2Fr&RoleSessionName=sluice&WebIdentityToken=header.canary%2F%2B.signature");

  world.answer = [](const HttpRequest& /*request*/) -> Result<HttpResponse> {
    return http_answer(400,
                       "<ErrorResponse><Error><Code>ExpiredTokenException</Code><Message>Token "
                       "expired</Message></Error></ErrorResponse>");
  };
  CHECK(holds(error_of(source.fetch()), "(HTTP 400): ExpiredTokenException: Token expired"));
  world.answer = [](const HttpRequest& /*request*/) -> Result<HttpResponse> {
    return http_answer(200, "<html>canary</html>");
  };
  CHECK(holds(error_of(source.fetch()), "something else than credentials"));
  CHECK_FALSE(holds(error_of(source.fetch()), "canary"));
}

TEST_CASE("c5_a_container_is_asked_with_its_token_and_only_where_that_may_go") {
  CredentialWorld world;
  world.answer = [](const HttpRequest& /*request*/) -> Result<HttpResponse> {
    return http_answer(200, kAnswer);
  };
  ContainerSource none({}, world.outside);
  CHECK(holds(reason_of(none.fetch()), "AWS_CONTAINER_CREDENTIALS_FULL_URI"));
  ContainerSource task({.relative_uri = "/v2/credentials/canary", .token = "t"}, world.outside);
  const SourceAnswer answer = task.fetch();
  REQUIRE(fetched_of(answer));
  CHECK(fetched_of(answer)->origin.source == "the container's endpoint http://169.254.170.2");
  CHECK(world.requests[0].url == "http://169.254.170.2/v2/credentials/canary");
  CHECK(header_of(world.requests[0], "authorization") == "t");

  world.files["/pod"] = "pod-token\n";
  ContainerSource pod({.full_uri = "http://169.254.170.23/v1/credentials", .token_file = "/pod"},
                      world.outside);
  REQUIRE(fetched_of(pod.fetch()));
  CHECK(header_of(world.requests[1], "authorization") == "pod-token");
  world.files["/pod"] = "Basic abcd\n";
  REQUIRE(fetched_of(pod.fetch()));
  CHECK(header_of(world.requests[2], "authorization") == "Basic abcd");
  world.files["/pod"] = "canary\r\nX-Other: y\n";
  CHECK(holds(error_of(pod.fetch()), "/pod holds more than one line"));
  world.files.clear();
  CHECK(holds(error_of(pod.fetch()), "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: open /pod"));
  CHECK(world.requests.size() == 3);

  ContainerSource elsewhere({.full_uri = "http://example.com/creds", .token = "t"}, world.outside);
  CHECK(holds(error_of(elsewhere.fetch()), "must be https"));
  CHECK(world.requests.size() == 3);
}

TEST_CASE("c3_only_https_and_known_addresses_are_endpoints_of_containers") {
  for (const char* good :
       {"https://example.com/x", "http://127.0.0.1:80/x", "http://127.9.9.9", "http://[::1]:1338/x",
        "http://localhost/x", "http://169.254.170.2/x", "http://169.254.170.23/v1",
        "http://[fd00:ec2::23]/v1", "http://[fd00:0ec2:0::23]/v1"}) {
    CAPTURE(good);
    CHECK(is_container_endpoint(good));
  }
  for (const char* bad :
       {"", "https://", "http://", "ftp://127.0.0.1", "http://example.com/x", "http://10.0.0.1/",
        "http://169.254.169.254/", "http://127.0.0.1.example.com/", "http://127.0.0.1@evil/",
        "http://evil#@127.0.0.1", "http://[fd00:ec2::24]/", "http://[::1", "http://localhost.evil/",
        "http://127.1/", "http://127.0.0.1\\evil/", "http://127.0.0.1 /"}) {
    CAPTURE(bad);
    CHECK_FALSE(is_container_endpoint(bad));
  }
}

TEST_CASE("s16_what_a_container_endpoint_does_wrong_is_said_without_its_path") {
  CredentialWorld world;
  ContainerSource source({.full_uri = "http://127.0.0.1:1/canary"}, world.outside);
  CHECK(holds(error_of(source.fetch()), "http://127.0.0.1:1 does not answer: refused"));
  CHECK(world.requests.size() == 2);  // once more
  for (const auto& [status, body, what] :
       {std::tuple(401, "canary", "HTTP 401"), std::tuple(500, "canary", "HTTP 500"),
        std::tuple(200, "<html>canary", "HTML")}) {
    world.answer = [status = status, body = body](const HttpRequest& /*request*/) {
      return Result<HttpResponse>(http_answer(status, body));
    };
    CHECK(holds(error_of(source.fetch()), what));
    CHECK_FALSE(holds(error_of(source.fetch()), "canary"));
  }
}

TEST_CASE("c5_instance_metadata_is_asked_by_version_two_only") {
  CredentialWorld world;
  world.answer = [](const HttpRequest& request) -> Result<HttpResponse> {
    if (request.method == "PUT") {
      return http_answer(200, "session");
    }
    return http_answer(200, request.url.ends_with('/') ? "my-role\n" : kAnswer);
  };
  InstanceMetadataSource source({.endpoint_url = "http://127.0.0.1:9/"}, world.outside);
  const SourceAnswer answer = source.fetch();
  REQUIRE(fetched_of(answer));
  CHECK(fetched_of(answer)->origin.identity == "the instance's role my-role");
  REQUIRE(world.requests.size() == 3);
  CHECK(world.requests[0].url == "http://127.0.0.1:9/latest/api/token");
  CHECK_FALSE(header_of(world.requests[0], "x-aws-ec2-metadata-token-ttl-seconds").empty());
  for (const std::size_t i : {1, 2}) {
    CHECK(header_of(world.requests[i], "x-aws-ec2-metadata-token") == "session");
  }
  CHECK(world.requests[2].url ==
        "http://127.0.0.1:9/latest/meta-data/iam/security-credentials/my-role");

  InstanceMetadataSource disabled({.disabled = true}, world.outside);
  CHECK(reason_of(disabled.fetch()) == "AWS_EC2_METADATA_DISABLED is set");
}

TEST_CASE("s16_without_a_session_token_instance_metadata_are_not_asked") {
  CredentialWorld world;
  InstanceMetadataSource source({}, world.outside);
  CHECK(holds(error_of(source.fetch()), "hop limit"));
  for (const auto& [status, body] :
       {std::pair(403, ""), std::pair(404, "canary"), std::pair(200, ""),
        std::pair(200, "<html> canary </html>"), std::pair(200, "canary\r\nx: y")}) {
    CAPTURE(body);
    world.requests.clear();
    world.answer = [status = status, body = body](const HttpRequest& /*request*/) {
      return Result<HttpResponse>(http_answer(status, body));
    };
    const std::string error = error_of(source.fetch());
    CHECK_FALSE(error.empty());
    CHECK_FALSE(holds(error, "canary"));
    CHECK(world.requests.size() == 1);
    CHECK(world.requests[0].method == "PUT");
  }
}

TEST_CASE("s16_an_instance_without_a_role_and_pages_in_its_place_are_errors") {
  CredentialWorld world;
  InstanceMetadataSource source({}, world.outside);
  for (const auto& [status, body, what] :
       {std::tuple(404, "", "attach one"), std::tuple(401, "", "HTTP 401"),
        std::tuple(200, "<html>canary", "name of a role"),
        std::tuple(200, "../canary", "name of a role"), std::tuple(200, "", "name of a role")}) {
    CAPTURE(body);
    world.answer = [status = status, body = body](const HttpRequest& request) {
      return Result<HttpResponse>(request.method == "PUT" ? http_answer(200, "session")
                                                          : http_answer(status, body));
    };
    CHECK(holds(error_of(source.fetch()), what));
    CHECK_FALSE(holds(error_of(source.fetch()), "canary"));
  }
}
