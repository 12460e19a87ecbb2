// The settings that only S3 has: what may be written, and what goes together.
#include <doctest/doctest.h>

#include "common/config/config.h"
#include "common/config/config_report.h"

using namespace sluice;

namespace {

using Environment = std::map<std::string, std::string>;

Result<Config> load(Environment more) {
  Environment all{{"BUCKET_NAME", "feeds"},
                  {"AWS_ACCESS_KEY_ID", "id"},
                  {"AWS_SECRET_ACCESS_KEY", "secret"},
                  {"AWS_REGION", "us-east-1"}};
  for (const auto& [name, value] : more) {
    all[name] = value;
  }
  return load_config({std::move(all), {}});
}

std::string error_of(const Environment& more) {
  const auto config = load(more);
  return config ? "" : config.error().message;
}

bool holds(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

std::string tags(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) {
    text += (i == 0 ? "k" : "&k") + std::to_string(i) + "=v";
  }
  return text;
}

}  // namespace

TEST_CASE("what_s3_would_refuse_is_refused_before_it_is_asked") {
  const std::vector<std::pair<std::string, std::string>> bad{
      {"S3_CHECKSUM", "crc64nvme"},
      {"S3_SSE", "AES512"},
      {"S3_SSE_KMS_KEY_ID", "key\nx-amz-acl: public-read"},
      {"S3_SSE_KMS_CONTEXT", "department=gate"},
      {"S3_SSE_KMS_CONTEXT", R"({"a": 1})"},
      {"S3_STORAGE_CLASS", "STANDARD IA"},
      {"S3_ACL", "everybody"},
      {"S3_TAGS", "team"},
      {"S3_TAGS", "=v"},
      {"S3_TAGS", "a=b&a=c"},
      {"S3_TAGS", "aws:a=b"},
      {"S3_TAGS", "a=b;c"},
      {"S3_TAGS", "a=b&"},
      {"S3_TAGS", tags(11)},
      {"S3_TAGS", std::string(129, 'k') + "=v"},
      {"S3_TAGS", "k=" + std::string(257, 'v')},
      {"S3_EXPECTED_BUCKET_OWNER", "12345678901"},
      {"S3_EXPECTED_BUCKET_OWNER", "12345678901x"},
      {"S3_REQUEST_PAYER", "me"},
      {"S3_PROXY", "proxy:3128"},
      {"S3_PROXY", "socks5://proxy:1080"},
      {"S3_PROXY", "http://proxy:3128/path"},
      {"S3_USER_AGENT", "a\nb"},
      {"S3_USER_AGENT", std::string(257, 'a')},
      {"S3_IDLE_TIMEOUT", "0.5"},
      {"S3_CONNECT_TIMEOUT", "0"},
      {"S3_REQUEST_TIMEOUT", "0"}};
  for (const auto& setting : bad) {
    const auto& name = setting.first;
    const auto& value = setting.second;
    CAPTURE(name);
    CAPTURE(value);
    CHECK(holds(error_of({{name, value}}), name + " (environment)"));
  }
}

TEST_CASE("what_s3_takes_may_be_written") {
  const std::vector<std::pair<std::string, std::string>> good{
      {"S3_CHECKSUM", "SHA256"},
      {"S3_SSE", "aes256"},
      {"S3_STORAGE_CLASS", "INTELLIGENT_TIERING"},
      {"S3_TAGS", tags(10)},
      {"S3_TAGS", std::string(128, 'k') + "=" + std::string(256, 'v')},
      {"S3_TAGS", "cost centre=a+b=c&empty="},
      {"S3_PROXY", "http://user:p%40ss@proxy.test:3128/"},
      {"S3_PROXY", "https://[::1]:3129"},
      {"S3_USER_AGENT", "gate/7 (hall 3)"}};
  for (const auto& setting : good) {
    const auto& name = setting.first;
    const auto& value = setting.second;
    CAPTURE(name);
    CAPTURE(value);
    CHECK(error_of({{name, value}}).empty());
  }
  CHECK(load({{"S3_SSE", "aes256"}})->s3_sse == S3Encryption::aes256);
  CHECK(load({})->s3_checksum == S3Checksum::crc32c);
}

TEST_CASE("endpoints_that_do_not_exist_are_refused_with_what_to_unset") {
  const Environment custom{{"AWS_ENDPOINT_URL", "http://minio:9000"}};
  for (const char* name : {"S3_DUALSTACK", "S3_FIPS", "S3_ACCELERATE"}) {
    CAPTURE(name);
    Environment both = custom;
    both[name] = "true";
    CHECK(holds(error_of(both), std::string(name) + " chooses among AWS's endpoints"));
    CHECK(error_of({{name, "true"}}).empty());
  }
  CHECK(error_of({{"S3_DUALSTACK", "true"}, {"S3_FIPS", "true"}}).empty());
  CHECK(error_of({{"S3_DUALSTACK", "true"}, {"S3_ACCELERATE", "true"}}).empty());
  CHECK(holds(error_of({{"S3_FIPS", "true"}, {"S3_ACCELERATE", "true"}}), "exclude each other"));
  CHECK(holds(error_of({{"S3_FIPS", "true"}, {"AWS_REGION", "eu-west-1"}}), "no FIPS endpoint"));
  CHECK(error_of({{"S3_FIPS", "true"}, {"AWS_REGION", "ca-central-1"}}).empty());
  CHECK(holds(error_of({{"S3_ACCELERATE", "true"}, {"S3_FORCE_PATH_STYLE", "true"}}),
              "needs the bucket in the host name"));
  CHECK(holds(error_of({{"S3_ACCELERATE", "true"}, {"BUCKET_NAME", "my.feeds"}}),
              "needs the bucket in the host name"));
  CHECK(holds(error_of({{"S3_ACCELERATE", "true"}, {"AWS_REGION", "cn-north-1"}}),
              "does not accelerate"));
}

TEST_CASE("what_belongs_to_kms_needs_kms") {
  for (const auto& [name, value] : Environment{{"S3_SSE_KMS_KEY_ID", "alias/gate"},
                                               {"S3_SSE_KMS_CONTEXT", R"({"a": "b"})"},
                                               {"S3_SSE_BUCKET_KEY", "true"}}) {
    const std::string wrong = name + " is set, but S3_SSE is neither";
    CHECK(holds(error_of({{name, value}}), wrong));
    CHECK(holds(error_of({{name, value}, {"S3_SSE", "AES256"}}), wrong));
    CHECK(error_of({{name, value}, {"S3_SSE", "aws:kms"}}).empty());
  }
  CHECK(holds(error_of({{"S3_SSE_BUCKET_KEY", "true"}, {"S3_SSE", "aws:kms:dsse"}}),
              "does not exist"));
}

TEST_CASE("c1_the_proxys_password_is_shown_nowhere") {
  CHECK_FALSE(holds(error_of({{"S3_PROXY", "ftp://u:canary@proxy"}}), "canary"));
  const auto config = load({{"S3_PROXY", "http://u:canary@proxy:1"}});
  REQUIRE(config);
  CHECK(config->s3_proxy == "http://u:canary@proxy:1");
  CHECK_FALSE(holds(config_table(*config), "canary"));
}

TEST_CASE("a_storage_class_that_nothing_can_load_from_is_warned_about") {
  const auto config = load({{"S3_STORAGE_CLASS", "DEEP_ARCHIVE"}});
  REQUIRE(config);
  REQUIRE(config->warnings.size() == 1);
  CHECK(holds(config->warnings[0], "restored"));
  CHECK(load({{"S3_STORAGE_CLASS", "STANDARD_IA"}})->warnings.empty());
}
