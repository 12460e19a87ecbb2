// An S3Client, and the server that verifies what it sends.
#pragma once

#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/s3/s3_client.h"
#include "fakes/fake_s3_server.h"
#include "test_clock.h"

namespace sluice::s3_client_test {

struct Setup {
  bool path_style = true;
  std::string secret = "secret";
  std::string access_key = "AKIATEST";
  std::string session_token = {};
  std::string region = "us-east-1";
  std::string bucket = "bucket";
  std::string url = {};  // empty: the server's
  S3Terms terms = {};
  std::string ca_file = {};
  std::chrono::seconds idle_timeout{15};
};

struct Fixture {
  explicit Fixture(Setup setup = {}, std::vector<std::string> arguments = {})
      : server(std::move(arguments)),
        credentials({.access_key_id = setup.access_key,
                     .secret_access_key = setup.secret,
                     .session_token = setup.session_token}),
        client(S3Client::make(
            {.endpoint = {.endpoint_url = setup.url.empty() ? server.url() : setup.url,
                          .region = setup.region,
                          .bucket = setup.bucket,
                          .path_style = setup.path_style},
             .terms = setup.terms,
             .ca_file = setup.ca_file,
             .connect_timeout = std::chrono::milliseconds(2000),
             .request_deadline = std::chrono::milliseconds(3000),
             .low_speed_time = std::chrono::seconds(1),
             .idle_timeout = setup.idle_timeout},
            {.credentials = credentials, .clock = clock})) {
    REQUIRE(client);
  }

  template <class T>
  StoreResult<T> wait(const std::function<void(StoreCompletion<T>)>& start) {
    std::optional<StoreResult<T>> result;
    start([&result](StoreResult<T> given) { result = std::move(given); });
    CHECK_FALSE(result);
    while (!result) {
      (*client)->poll(MonotonicTime::max());
    }
    return std::move(*result);
  }

  StoreResult<PutOutcome> put(const std::string& key, const std::string& text) {
    return wait<PutOutcome>([&](StoreCompletion<PutOutcome> done) {
      auto owner = std::make_shared<std::string>(text);
      PutRequest request;
      request.name = {.key = key,
                      .content_type = "application/xml",
                      .metadata = {{"segment", "s-1"}, {"digest", "abc"}}};
      const auto bytes = std::as_bytes(std::span(*owner));
      request.body.append(bytes.first(bytes.size() / 2), owner);
      request.body.append(bytes.subspan(bytes.size() / 2), owner);
      (*client)->put(std::move(request), std::move(done));
    });
  }
  StoreErrorKind kind_of_put(const std::string& key) {
    const StoreResult<PutOutcome> result = put(key, "text of " + key);
    last_error = result.error.value_or(StoreError{});
    REQUIRE(result.error);
    return result.error->kind;
  }
  StoreResult<std::optional<ObjectInfo>> head(const std::string& key) {
    return wait<std::optional<ObjectInfo>>(
        [&](auto done) { (*client)->head(key, std::move(done)); });
  }

  FakeS3Server server;
  OffsetClock clock;
  EnvironmentCredentials credentials;
  Result<std::unique_ptr<S3Client>> client;
  StoreError last_error;
};

struct Multipart {
  Fixture& fixture;
  std::string id;

  explicit Multipart(Fixture& given, const std::string& key) : fixture(given) {
    const auto created = fixture.wait<std::string>([&](auto done) {
      (*fixture.client)
          ->create_multipart({.key = key, .content_type = "a/b", .metadata = {{"segment", "s"}}},
                             std::move(done));
    });
    REQUIRE(created.ok());
    id = created.value;
  }
  StoreResult<UploadedPart> part(const std::string& key, std::uint32_t number, char fill) {
    return fixture.wait<UploadedPart>([&](auto done) {
      auto owner = std::make_shared<std::string>(5 * kMiB, fill);
      PartRequest request{.key = key, .upload_id = id, .number = number};
      request.body.append(std::as_bytes(std::span(*owner)), owner);
      (*fixture.client)->upload_part(std::move(request), std::move(done));
    });
  }
  StoreResult<PutOutcome> complete(const std::string& key, std::vector<UploadedPart> parts) {
    return fixture.wait<PutOutcome>([&](auto done) {
      (*fixture.client)
          ->complete_multipart({.key = key, .upload_id = id, .parts = std::move(parts)},
                               std::move(done));
    });
  }
};

}  // namespace sluice::s3_client_test
