// Credentials over real HTTP: the metadata services and STS as they are and as they fail, and the
// S3 client that signs with what they give.
#include <doctest/doctest.h>

#include <fstream>
#include <functional>
#include <optional>
#include <semaphore>
#include <string>
#include <vector>

#include "commands/credentials_of.h"
#include "common/platform/posix_filesystem.h"
#include "common/s3/s3_client.h"
#include "common/s3/store_probe.h"
#include "fakes/fake_s3_server.h"
#include "scratch_directory.h"
#include "test_clock.h"

namespace sluice {
namespace {

using std::chrono::seconds;

bool holds(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

struct Fixture {
  explicit Fixture(const std::function<void(Config&, Fixture&)>& set = instance) {
    config.aws_endpoint_url_sts = metadata.url();
    config.aws_ec2_metadata_disabled = true;
    set(config, *this);
    credentials.emplace(config, ConfiguredCredentials::Outside{filesystem, clock});
  }
  static void instance(Config& config, Fixture& fixture) {
    config.aws_ec2_metadata_disabled = false;
    config.aws_ec2_metadata_service_endpoint = fixture.metadata.url();
  }

  std::string write(const std::string& name, const std::string& text) const {
    const std::string path = scratch.path() / name;
    std::ofstream(path) << text;
    return path;
  }
  CredentialOrigin origin() {
    const CredentialReport report = credentials->fetch();
    CHECK(report.error.empty());
    REQUIRE(report.origin);
    return *report.origin;
  }
  [[nodiscard]] std::size_t asked(const std::string& path) {
    std::size_t count = 0;
    for (const auto& request : metadata.control("requests", nullptr)) {
      count += request.at("path") == path ? 1 : 0;
    }
    return count;
  }
  std::string token() {
    const auto current = credentials->provider().current();
    return current ? current->session_token : std::string();
  }
  template <class Condition>
  static bool wait_for(const Condition& condition) {
    std::binary_semaphore never(0);
    for (int turn = 0; turn < 6000; ++turn) {
      if (condition()) {
        return true;
      }
      static_cast<void>(never.try_acquire_for(std::chrono::milliseconds(10)));
    }
    return false;
  }

  PythonServer metadata{"metadata_server.py"};
  ScratchDirectory scratch;
  PosixFilesystem filesystem;
  OffsetClock clock;
  Config config;
  std::optional<ConfiguredCredentials> credentials;
};

constexpr const char* kRole = "/latest/meta-data/iam/security-credentials/test-role";

TEST_CASE("c5_instance_metadata_give_a_session_and_it_gives_credentials") {
  Fixture fixture;
  const CredentialOrigin origin = fixture.origin();
  CHECK(origin.source == "the instance metadata service at " + fixture.metadata.url());
  CHECK(origin.identity == "the instance's role test-role");
  CHECK(origin.key_id_end == "TEST");
  CHECK(origin.expires_at > fixture.clock.wall_now() + std::chrono::minutes(59));
  CHECK(fixture.token() == "token-1");
}

TEST_CASE("c5_a_container_is_asked_with_the_token_of_its_file") {
  Fixture fixture([](Config& config, Fixture& given) {
    config.aws_container_credentials_full_uri = given.metadata.url() + "/v1/credentials";
    config.aws_container_authorization_token_file = given.write("token", "container-token\n");
  });
  CHECK(fixture.origin().identity == "arn:aws:iam::123456789012:role/task");
  Fixture wrong([](Config& config, Fixture& given) {
    config.aws_container_credentials_full_uri = given.metadata.url() + "/v1/credentials";
    config.aws_container_authorization_token = "canary";
  });
  const CredentialReport report = wrong.credentials->fetch();
  CHECK(holds(report.error, "HTTP 401"));
  CHECK_FALSE(holds(report.error, "canary"));
}

TEST_CASE("c5_sts_verifies_how_a_role_is_assumed_from_a_profile") {
  const auto with_secret = [](const std::string& secret) {
    return [secret](Config& config, Fixture& given) {
      config.aws_shared_credentials_file = given.write(
          "keys", "[base]\naws_access_key_id = BASEKEY\naws_secret_access_key = " + secret + "\n");
      config.aws_config_file = given.write(
          "config", "[profile prod]\nrole_arn = arn:aws:iam::1:role/gate\nsource_profile = base\n");
      config.aws_profile = "prod";
    };
  };
  Fixture fixture(with_secret("base-secret"));
  CHECK(fixture.origin().identity == "arn:aws:sts::1:assumed-role/gate/sluice");
  CHECK(fixture.token() == "token-1");
  Fixture wrong(with_secret("canary"));
  const CredentialReport report = wrong.credentials->fetch();
  CHECK(holds(report.error, "AccessDenied: Not authorized to perform sts:AssumeRole"));
  CHECK_FALSE(holds(report.error, "canary"));
}

TEST_CASE("c5_sts_gives_a_role_for_a_web_identity") {
  Fixture fixture([](Config& config, Fixture& given) {
    config.aws_role_arn = "arn:aws:iam::1:role/pod";
    config.aws_role_session_name = "gate-7";
    config.aws_web_identity_token_file = given.write("token", "web-token\n");
  });
  CHECK(fixture.origin().identity == "arn:aws:sts::1:assumed-role/pod/gate-7");
}

TEST_CASE("s16_a_service_that_is_down_slow_or_another_one_gives_errors_in_time") {
  Fixture fixture;
  for (const auto& [fault, what] :
       {std::pair(nlohmann::json{{"kind", "status"}, {"status", 401}}, "HTTP 401"),
        std::pair(nlohmann::json{{"kind", "html"}}, "something else than a session token"),
        std::pair(nlohmann::json{{"kind", "reset"}}, "does not answer"),
        std::pair(nlohmann::json{{"kind", "stall"}}, "does not answer")}) {
    const std::string told = fault.dump();
    CAPTURE(told);
    fixture.metadata.control("fault", fault);
    Fixture other([&](Config& config, Fixture& /*given*/) { Fixture::instance(config, fixture); });
    const auto begin = std::chrono::steady_clock::now();
    CHECK(holds(other.credentials->fetch().error, what));
    CHECK(std::chrono::steady_clock::now() - begin < seconds(20));
  }
}

TEST_CASE("s16_old_credentials_serve_until_they_expire_while_the_service_is_broken") {
  Fixture fixture;
  fixture.origin();
  fixture.metadata.control("fault", {{"kind", "html"}});
  fixture.credentials->start();
  fixture.clock.advance(std::chrono::minutes(56));
  fixture.credentials->provider().reread();  // the thread looks at the clock
  CHECK(Fixture::wait_for([&] { return !fixture.credentials->provider().report().error.empty(); }));
  CHECK(fixture.token() == "token-1");
  fixture.clock.advance(std::chrono::minutes(5));
  const auto current = fixture.credentials->provider().current();
  REQUIRE_FALSE(current);
  CHECK(current.error().kind == ErrorKind::rejected);
  CHECK(holds(current.error().message, "expired at"));
  fixture.metadata.control("set", {{"lifetime", 7200}});
  fixture.metadata.control("fault", {{"kind", ""}});
  CHECK(Fixture::wait_for([&] { return fixture.token() == "token-2"; }));
}

TEST_CASE("a_fetch_that_hangs_ends_with_the_process") {
  Fixture fixture;
  fixture.metadata.control("fault", {{"kind", "stall"}});
  fixture.credentials->start();
  CHECK(Fixture::wait_for([&] { return fixture.asked("/latest/api/token") == 1; }));
  const auto begin = std::chrono::steady_clock::now();
  fixture.credentials.reset();
  CHECK(std::chrono::steady_clock::now() - begin < seconds(2));
}

// ---- with the store

struct StoreFixture : Fixture {
  explicit StoreFixture(const std::function<void(Config&, Fixture&)>& set = instance)
      : Fixture(set),
        client(S3Client::make(
            {.endpoint = {.endpoint_url = server.url(), .bucket = "bucket", .path_style = true},
             .ca_file = ""},
            {.credentials = credentials->provider(), .clock = clock})) {
    REQUIRE(client);
  }

  // Starts so many puts at once, repeats what asks for fresh credentials, gives the errors left.
  std::vector<StoreError> put(int count) {
    std::vector<StoreError> errors;
    int open = 0;
    const std::function<void(std::string)> start = [&](const std::string& key) {
      PutRequest request;
      request.name = {.key = key, .content_type = "text/plain"};
      open += 1;
      (*client)->put(std::move(request), [&, key](const StoreResult<PutOutcome>& result) {
        open -= 1;
        if (result.error && result.error->kind == StoreErrorKind::refresh_credentials &&
            (*client)->refresh_credentials()) {
          start(key);
        } else if (result.error) {
          errors.push_back(*result.error);
        }
      });
    };
    for (int i = 0; i < count; ++i) {
      start("k" + std::to_string(puts++));
    }
    if (!std::exchange(started, true)) {
      credentials->start();
    }
    const auto until = std::chrono::steady_clock::now() + seconds(60);
    while (open > 0 && std::chrono::steady_clock::now() < until) {
      (*client)->poll(until);
    }
    CHECK(open == 0);
    return errors;
  }

  FakeS3Server server;
  Result<std::unique_ptr<S3Client>> client;
  int puts = 0;
  bool started = false;
};

TEST_CASE("s5_requests_wait_for_the_first_credentials_and_one_refresh_serves_them_all") {
  StoreFixture fixture;
  fixture.metadata.control("set", {{"token", "one"}});
  fixture.server.set({{"session_token", "one"}});
  CHECK(fixture.put(8).empty());
  CHECK(fixture.asked(kRole) == 1);
  CHECK(fixture.server.requests().size() == 8);

  fixture.metadata.control("set", {{"token", "two"}});
  fixture.server.set({{"session_token", "two"}});
  fixture.clock.advance(RefreshingCredentials::kRefreshInterval);
  CHECK(fixture.put(8).empty());
  CHECK(fixture.asked(kRole) == 2);
  CHECK(fixture.server.objects().size() == 16);
}

TEST_CASE("s5_credentials_that_stay_refused_are_a_matter_of_configuration") {
  StoreFixture fixture;
  fixture.server.set({{"session_token", "another"}});
  const std::vector<StoreError> errors = fixture.put(1);
  REQUIRE(errors.size() == 1);
  CHECK(errors[0].code == "ExpiredToken");
  CHECK(fixture.asked(kRole) <= 2);
}

TEST_CASE("s7_a_secret_file_that_was_rotated_is_read_when_the_store_refuses") {
  StoreFixture fixture([](Config& config, Fixture& given) {
    config.aws_access_key_id_file = given.write("id", "AKIATEST\n");
    config.aws_secret_access_key_file = given.write("key", "secret\n");
  });
  CHECK(fixture.put(1).empty());
  fixture.write("key", "rotated\n");
  fixture.server.set({{"secret_key", "rotated"}});
  fixture.clock.advance(RefreshingCredentials::kRefreshInterval);
  CHECK(fixture.put(4).empty());

  fixture.write("id", "AKIAOTHER\n");
  fixture.server.set({{"access_key", "AKIAOTHER"}});
  fixture.clock.advance(RefreshingCredentials::kRefreshInterval);
  CHECK(fixture.put(4).empty());  // InvalidAccessKeyId
  CHECK(fixture.server.objects().size() == 9);
}

TEST_CASE("c1_without_credentials_the_error_says_what_was_tried") {
  StoreFixture fixture([](Config& config, Fixture& /*given*/) { config.home = "/no/home"; });
  const std::vector<StoreError> errors = fixture.put(1);
  REQUIRE(errors.size() == 1);
  CHECK(errors[0].kind == StoreErrorKind::configuration);
  CHECK(errors[0].code == kNoCredentials);
  for (const char* link : {"environment: ", "run secrets: ", "web identity: ", "profile: ",
                           "container: ", "instance metadata: AWS_EC2_METADATA_DISABLED"}) {
    CHECK(holds(errors[0].message, link));
  }
  CHECK(fixture.server.requests().empty());
}

}  // namespace
}  // namespace sluice
