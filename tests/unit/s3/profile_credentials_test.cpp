#include "common/s3/profile_credentials.h"

#include <doctest/doctest.h>

#include "common/s3/static_credentials.h"
#include "fakes/credential_world.h"

using namespace sluice;

namespace {

bool holds(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// A source that credential_source may name.
class NamedSource final : public CredentialSource {
 public:
  explicit NamedSource(std::string key_id) : key_id_(std::move(key_id)) {}
  [[nodiscard]] std::string_view name() const override { return key_id_; }
  [[nodiscard]] SourceAnswer fetch() override {
    return FetchedCredentials{{.access_key_id = key_id_, .secret_access_key = "s"},
                              {.source = key_id_}};
  }

 private:
  std::string key_id_;
};

struct Fixture : CredentialWorld {
  Fixture() {
    answer = [](const HttpRequest& /*request*/) -> Result<HttpResponse> {
      return http_answer(
          200,
          "<AssumeRoleResponse><AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>rs"
          "</SecretAccessKey><SessionToken>rt</SessionToken><Expiration>2026-11-21T09:14:07Z"
          "</Expiration><Arn>arn:aws:sts::1:assumed-role/r/s</Arn></AssumeRoleResponse>");
    };
  }

  void config(std::string text) { files["/home/.aws/config"] = std::move(text); }
  void keys(std::string text) { files["/home/.aws/credentials"] = std::move(text); }

  SourceAnswer fetch(const std::string& profile = "") {
    ProfileSource::Settings settings = with;
    settings.profile = profile;
    ProfileSource source(settings, {environment, container, instance}, sts, outside);
    return source.fetch();
  }
  Credentials credentials(const std::string& profile = "") {
    const SourceAnswer given = fetch(profile);
    CHECK(error_of(given).empty());
    REQUIRE(fetched_of(given));
    origin = fetched_of(given)->origin;
    return fetched_of(given)->credentials;
  }

  ProfileSource::Settings with{.home = "/home"};
  NamedSource environment{"AKIAENVIRONMENT"};
  NamedSource container{"AKIACONTAINER"};
  NamedSource instance{"AKIAINSTANCE"};
  StsClient sts{{.region = "eu-central-1"}, outside};
  CredentialOrigin origin;
};

}  // namespace

TEST_CASE("c5_a_profile_has_keys_in_either_file_and_the_credentials_file_wins") {
  Fixture fixture;
  fixture.config(
      "[profile prod]\naws_access_key_id = AKIACONFIG\naws_secret_access_key = a\n"
      "[default]\naws_access_key_id = AKIAOTHER\naws_secret_access_key = b\n"
      "[prod]\naws_access_key_id = no profile\n");
  CHECK(fixture.credentials("prod").access_key_id == "AKIACONFIG");
  CHECK(fixture.credentials().access_key_id == "AKIAOTHER");
  fixture.keys(
      "[prod]\naws_access_key_id = AKIAKEYS\naws_secret_access_key = c\n"
      "aws_session_token = t\n");
  const Credentials credentials = fixture.credentials("prod");
  CHECK(credentials.access_key_id == "AKIAKEYS");
  CHECK(credentials.secret_access_key == "c");
  CHECK(credentials.session_token == "t");
  CHECK(fixture.origin.source == "profile 'prod' in /home/.aws/config and /home/.aws/credentials");
}

TEST_CASE("a_missing_default_profile_is_passed_over_and_a_named_one_is_an_error") {
  Fixture fixture;
  CHECK(holds(reason_of(fixture.fetch()), "no shared config or credentials file"));
  CHECK(holds(error_of(fixture.fetch("prod")), "AWS_PROFILE=prod"));
  fixture.config("[default]\nregion = x\n");
  CHECK(holds(reason_of(fixture.fetch()), "names no credentials"));
  fixture.config("[profile prod]\nregion = x\n");
  CHECK(holds(reason_of(fixture.fetch()), "profile 'default' is not in"));
  CHECK(holds(error_of(fixture.fetch("prod")), "names no credentials"));
  fixture.with.credentials_file = "/named";
  CHECK(holds(error_of(fixture.fetch()), "open /named"));
  fixture.with.credentials_file = "~/keys";
  fixture.files["/home/keys"] = "[default]\naws_access_key_id=AKIA\naws_secret_access_key=s\n";
  CHECK(fixture.credentials().access_key_id == "AKIA");
}

TEST_CASE("s16_a_half_written_credentials_file_is_an_error_that_shows_nothing") {
  Fixture fixture;
  for (const char* half :
       {"[default]\naws_access_key_id = canary\n",
        "[default]\naws_access_key_id = canary\naws_secret_access_key =\n",
        "[default]\naws_access_key_id = canary\naws_secret_acc",
        "[default]\naws_access_key_id = AKIA\naws_secret_access_key = canary\n  canary\n",
        "[default]\naws_secret_access_key = canary\n"}) {
    CAPTURE(half);
    fixture.keys(half);
    const std::string error = error_of(fixture.fetch());
    CHECK_FALSE(error.empty());
    CHECK_FALSE(holds(error, "canary"));
  }
}

TEST_CASE("c5_a_role_is_assumed_with_the_keys_of_its_source_profile") {
  Fixture fixture;
  fixture.config(
      "[profile base]\naws_access_key_id = AKIABASE\naws_secret_access_key = b\n"
      "[profile prod]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = base\n"
      "external_id = e/1\nrole_session_name = gate\nduration_seconds = 900\n");
  CHECK(fixture.credentials("prod").access_key_id == "ASIAROLE");
  CHECK(fixture.origin.identity == "arn:aws:sts::1:assumed-role/r/s");
  CHECK(fixture.origin.source ==
        "profile 'prod' in /home/.aws/config, assumed by those from profile 'base' in "
        "/home/.aws/config");
  REQUIRE(fixture.requests.size() == 1);
  const HttpRequest& request = fixture.requests[0];
  CHECK(body_of(request) ==
        "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr"
        "&RoleSessionName=gate&ExternalId=e%2F1&DurationSeconds=900");
  CHECK(holds(header_of(request, "authorization"), "Credential=AKIABASE/"));
  CHECK(holds(header_of(request, "authorization"), "/eu-central-1/sts/aws4_request"));
}

TEST_CASE("roles_may_be_chained_and_a_profile_may_be_its_own_source") {
  Fixture fixture;
  fixture.config(
      "[profile self]\naws_access_key_id = AKIASELF\naws_secret_access_key = b\n"
      "role_arn = arn:aws:iam::1:role/one\nsource_profile = self\n"
      "[profile two]\nrole_arn = arn:aws:iam::1:role/two\nsource_profile = self\n");
  CHECK(fixture.credentials("two").access_key_id == "ASIAROLE");
  REQUIRE(fixture.requests.size() == 2);
  CHECK(holds(header_of(fixture.requests[0], "authorization"), "AKIASELF"));
  CHECK(holds(header_of(fixture.requests[1], "authorization"), "ASIAROLE"));
  CHECK(header_of(fixture.requests[1], "x-amz-security-token") == "rt");
}

TEST_CASE("c5_a_role_may_be_assumed_by_another_link_of_the_chain") {
  for (const auto& [source, key_id] :
       {std::pair("Environment", "AKIAENVIRONMENT"), std::pair("EcsContainer", "AKIACONTAINER"),
        std::pair("Ec2InstanceMetadata", "AKIAINSTANCE")}) {
    Fixture fixture;
    fixture.config("[default]\nrole_arn = arn:aws:iam::1:role/r\ncredential_source = " +
                   std::string(source) + "\n");
    CHECK(fixture.credentials().access_key_id == "ASIAROLE");
    CHECK(holds(header_of(fixture.requests[0], "authorization"), key_id));
  }
}

TEST_CASE("profiles_that_lead_nowhere_are_named") {
  Fixture fixture;
  const std::string role = "role_arn = arn:aws:iam::1:role/r\n";
  fixture.config(
      "[profile a]\n" + role + "source_profile = b\n[profile b]\n" + role +
      "source_profile = c\n[profile c]\n" + role + "source_profile = a\n" + "[profile gone]\n" +
      role + "source_profile = missing\n[profile alone]\n" + role + "[profile both]\n" + role +
      "source_profile = a\ncredential_source = Environment\n" + "[profile odd]\n" + role +
      "credential_source = Moon\n[profile person]\n" + role +
      "source_profile = a\nmfa_serial = x\n[profile sso]\nsso_session = x\n" + "[profile empty]\n" +
      role + "source_profile = nothing\n[profile nothing]\nx = y\n");
  CHECK(holds(error_of(fixture.fetch("a")), "source_profile settings from 'a' on lead back"));
  CHECK(holds(error_of(fixture.fetch("gone")), "profile 'missing', which 'gone' names"));
  CHECK(holds(error_of(fixture.fetch("alone")), "needs a source_profile"));
  CHECK(holds(error_of(fixture.fetch("both")), "has both"));
  CHECK(holds(error_of(fixture.fetch("odd")), "needs a source_profile"));
  CHECK(holds(error_of(fixture.fetch("person")), "mfa_serial"));
  CHECK(holds(error_of(fixture.fetch("sso")), "sso_session"));
  CHECK(holds(error_of(fixture.fetch("empty")), "names no credentials"));
  CHECK(fixture.requests.empty());
}

TEST_CASE("s16_a_role_that_was_removed_is_refused_by_sts_in_its_words") {
  Fixture fixture;
  fixture.config("[default]\nrole_arn = arn:aws:iam::1:role/r\ncredential_source = Environment\n");
  fixture.answer = [](const HttpRequest& /*request*/) -> Result<HttpResponse> {
    return http_answer(403,
                       "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>"
                       "not authorized to perform: sts:AssumeRole</Message></Error>"
                       "</ErrorResponse>");
  };
  CHECK(holds(error_of(fixture.fetch()),
              "refuses (HTTP 403): AccessDenied: not authorized to perform: sts:AssumeRole"));
  CHECK(fixture.requests.size() == 1);
  fixture.answer = [](const HttpRequest& /*request*/) -> Result<HttpResponse> {
    return http_answer(503, "");
  };
  CHECK(holds(error_of(fixture.fetch()), "HTTP 503"));
  CHECK(fixture.requests.size() == 3);
}

TEST_CASE("c5_a_profile_may_have_a_web_identity_or_a_process") {
  Fixture fixture;
  fixture.config(
      "[profile web]\nrole_arn = arn:aws:iam::1:role/r\n"
      "web_identity_token_file = /token\n"
      "[profile tool]\ncredential_process = /opt/keys --for \"a b\"\n");
  fixture.files["/token"] = "jwt";
  CHECK(fixture.credentials("web").access_key_id == "ASIAROLE");
  CHECK(holds(body_of(fixture.requests[0]), "WebIdentityToken=jwt"));
  CHECK(holds(fixture.origin.source, "profile 'web' in /home/.aws/config, by the web identity"));

  CHECK(holds(error_of(fixture.fetch("tool")), "credential_process ends with exit code 1"));
  fixture.output =
      std::string(R"({"Version": 1, "AccessKeyId": "AKIATOOL", "SecretAccessKey": "s"})");
  CHECK(fixture.credentials("tool").access_key_id == "AKIATOOL");
  CHECK(fixture.commands.back() == "/opt/keys --for \"a b\"");
  fixture.output = std::string("canary");
  CHECK(holds(error_of(fixture.fetch("tool")), "no JSON object"));
  CHECK_FALSE(holds(error_of(fixture.fetch("tool")), "canary"));
}
