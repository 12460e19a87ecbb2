#include "common/config/config.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>

#include "common/config/config_report.h"
#include "common/config/settings.h"
#include "common/config/stream_config.h"
#include "common/config/value_text.h"

using namespace sluice;
using std::chrono::milliseconds;

namespace {

using Environment = std::map<std::string, std::string>;

Result<Config> load(Environment environment) { return load_config({std::move(environment), {}}); }

Result<Config> load_file(std::string content, Environment environment = {}) {
  return load_config({std::move(environment), ConfigFile{"sluice.json", std::move(content)}});
}

std::string error_of(const Result<Config>& result) {
  return result ? "(no error)" : result.error().message;
}

bool holds(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

const SettingValue& setting_of(const Config& config, std::string_view name) {
  return *std::find_if(config.settings.begin(), config.settings.end(),
                       [&](const SettingValue& one) { return one.name == name; });
}

Environment s3_with(Environment more) {
  Environment all{{"BUCKET_NAME", "feeds"},
                  {"AWS_ACCESS_KEY_ID", "id-canary"},
                  {"AWS_SECRET_ACCESS_KEY", "secret-canary"}};
  all.merge(more);
  return all;
}

}  // namespace

TEST_CASE("without_any_source_the_defaults_hold") {
  const auto config = load({});
  REQUIRE(config);
  CHECK(config->port == 8080);
  CHECK(config->rotation_interval == std::chrono::seconds(60));
  CHECK(config->segment_bytes_max == 5 * kMiB);
  CHECK(config->output_format == OutputFormat::xml);
  CHECK(config->prefix == "xml-events/");
  CHECK_FALSE(config->uses_s3());
  CHECK_FALSE(config->rate_limit_enabled);
  CHECK(config->warnings.empty());
  CHECK(setting_of(*config, "PORT").source == "default");
}

TEST_CASE("the_environment_wins_over_the_file_and_the_file_over_the_default") {
  const auto config = load_file(R"({"PORT": 9000, "OUTPUT_FORMAT": "jsonl", "RETRY_BASE_DELAY": 0.5,
                                    "USE_DATE_FOLDERS": true})",
                                {{"PORT", "9001"}});
  REQUIRE(config);
  CHECK(config->port == 9001);
  CHECK(config->output_format == OutputFormat::jsonl);
  CHECK(config->retry_base_delay == milliseconds(500));
  CHECK(config->use_date_folders);
  CHECK(setting_of(*config, "PORT").source == "environment");
  CHECK(setting_of(*config, "PORT").value == "9001");
  CHECK(setting_of(*config, "OUTPUT_FORMAT").source == "file sluice.json");
}

TEST_CASE("a_bad_value_is_named_with_its_source_and_what_is_allowed") {
  const std::string error = error_of(load({{"PORT", "http"}, {"OUTPUT_FORMAT", "csv"}}));
  CHECK(holds(error, "PORT (environment) is \"http\", but must be a port"));
  CHECK(holds(error, "OUTPUT_FORMAT (environment) is \"csv\", but must be xml, json or jsonl"));
  CHECK(holds(error_of(load_file(R"({"MAX_FILE_SIZE": -5})")),
              "MAX_FILE_SIZE (file sluice.json) is \"-5\", but must be bytes"));
}

TEST_CASE("every_setting_with_a_range_refuses_what_lies_outside") {
  const std::vector<std::pair<std::string, std::string>> bad{
      {"MAX_CONNECTIONS", "0"},
      {"MAX_MESSAGE_SIZE", "255"},
      {"ROTATION_INTERVAL", "0"},
      {"MAX_RETRIES", "0"},
      {"UPLOAD_CONCURRENCY", "257"},
      {"QUEUE_CAPACITY", "0"},
      {"RECEIVE_THREADS", "65"},
      {"ADMIN_PORT", "65536"},
      {"PROTOCOLS", "xml,syslog"},
      {"PROTOCOLS", "xml,,rpc"},
      {"ALLOW_FROM", "10.0.0.1/8"},
      {"LOG_FILENAME", "../server.log"},
      {"MIN_LOG_LEVEL", "FATAL"},
      {"SLUICE_LOG_LEVEL", "loud"},
      {"RATE_LIMIT_ENABLED", "maybe"},
      {"PREFIX", "../up"},
      {"QUARANTINE_PREFIX", "/root/"},
      {"INSTANCE_ID", "a/b"},
      {"BUCKET_NAME", "s3://feeds"},
      {"AWS_ENDPOINT_URL", "minio:9000"},
      {"AWS_ENDPOINT_URL", "ftp://minio"},
      {"AWS_ENDPOINT_URL", "http://"},
      {"AWS_ENDPOINT_URL", "http://minio:0"},
      {"AWS_ENDPOINT_URL", "http://minio:9000/?x=1"},
      {"AWS_REGION", "eu central"}};
  for (const auto& setting : bad) {
    const auto& name = setting.first;
    const auto& value = setting.second;
    CAPTURE(name);
    CAPTURE(value);
    CHECK(holds(error_of(load({{name, value}})), name + " (environment)"));
  }
}

TEST_CASE("what_an_operator_may_write_is_taken") {
  const auto config = load({{"PORT", "0"},
                            {"OUTPUT_FORMAT", "JSON"},
                            {"PRETTY_PRINT_JSON", "Yes"},
                            {"MAX_FILE_SIZE", "1 MiB"},
                            {"DRAIN_TIMEOUT", "0"},
                            {"SPOOL_SYNC_INTERVAL_MS", "5"},
                            {"SLUICE_LOG_FORMAT", "json"},
                            {"LEDGER_KEEP_DAYS", "2"},
                            {"OUTPUT_DIR", "/tmp/x"},
                            {"PREFIX", ""}});
  REQUIRE(config);
  CHECK(config->port == 0);
  CHECK(config->output_format == OutputFormat::json);
  CHECK(config->pretty_print_json);
  CHECK(config->segment_bytes_max == kMiB);
  CHECK(config->drain_timeout == milliseconds(0));
  CHECK(config->spool_sync_interval == milliseconds(5));
  CHECK(config->log_format == log::Format::json);
  CHECK(config->ledger_keep == std::chrono::hours(48));
  CHECK(config->prefix.empty());
}

TEST_CASE("an_empty_variable_is_an_unset_one") {
  const auto config = load({{"PORT", ""}, {"BUCKET_NAME", ""}, {"QUARANTINE_PREFIX", ""}});
  REQUIRE(config);
  CHECK(config->port == 8080);
  CHECK(config->quarantine_prefix == "quarantine/");
  CHECK(setting_of(*config, "PORT").source == "default");
}

TEST_CASE("the_configuration_file_is_checked_as_a_whole") {
  CHECK(holds(error_of(load_file(R"({"PORTT": 1})")),
              "PORTT in sluice.json is no setting; did you "
              "mean PORT?"));
  CHECK(holds(error_of(load_file(R"({"nonsense": 1})")), "nonsense in sluice.json is no setting"));
  CHECK(holds(error_of(load_file(R"({"PORT": [1]})")), "must be a string, a number"));
  CHECK(holds(error_of(load_file("PORT=1")), "sluice.json must be a JSON object"));
  CHECK(holds(error_of(load_file("[1]")), "must be a JSON object"));
  const std::string error = error_of(load_file(R"({"AWS_SECRET_ACCESS_KEY": "secret-canary"})"));
  CHECK(holds(error, "AWS_SECRET_ACCESS_KEY must not stand in a file"));
  CHECK_FALSE(holds(error, "canary"));
}

TEST_CASE("a_complaint_stays_on_its_line_whatever_it_quotes") {
  CHECK(error_of(load({{"PORT", "80\n\x1b[31m80\x7f"}})) ==
        "PORT (environment) is \"80\\x0a\\x1b[31m80\\x7f\", but must be a port: 1 to 65535, or 0 "
        "for any free one");
  CHECK(error_of(load_file(R"({"a\nb": 1})")) ==
        "a\\x0ab in sluice.json is no setting; `sluice config` lists them");
  // A rule quotes a part of the value once more.
  CHECK(error_of(load({{"ALLOW_FROM", "10.0.0.x\x0b"}})).find("\"10.0.0.x\\x0b\" is no address") !=
        std::string::npos);
}

TEST_CASE("no_error_and_no_table_shows_a_secret") {
  const std::string error = error_of(load(s3_with({{"AWS_SESSION_TOKEN", "token-canary\n"}})));
  CHECK(holds(error, "AWS_SESSION_TOKEN (environment) must be printable"));
  CHECK_FALSE(holds(error, "canary"));
  const std::string url = error_of(load(s3_with({{"AWS_ENDPOINT_URL", "http://u:canary@host"}})));
  CHECK(holds(url, "AWS_ENDPOINT_URL (environment) must not hold a user name"));
  CHECK_FALSE(holds(url, "canary"));
  const auto config = load(s3_with({}));
  REQUIRE(config);
  CHECK(config->aws_secret_access_key == "secret-canary");
  const std::string table = config_table(*config);
  CHECK_FALSE(holds(table, "canary"));
  CHECK(holds(table, "AWS_SECRET_ACCESS_KEY"));
  CHECK(holds(table, "(set)"));
}

TEST_CASE("only_an_authorization_may_have_words") {
  CHECK(load({{"AWS_CONTAINER_AUTHORIZATION_TOKEN", "Basic canary"}}));
  CHECK_FALSE(load({{"AWS_CONTAINER_AUTHORIZATION_TOKEN", "canary\r\nX: y"}}));
  CHECK_FALSE(load({{"AWS_SESSION_TOKEN", "two words"}}));
}

TEST_CASE("half_a_store_is_refused_with_what_is_missing") {
  for (const auto& setting : Environment{{"AWS_ENDPOINT_URL", "http://minio:9000"},
                                         {"PREFIX", "x/"},
                                         {"S3_FORCE_PATH_STYLE", "true"}}) {
    const auto& name = setting.first;
    const auto& value = setting.second;
    CAPTURE(name);
    CHECK(holds(error_of(load({{name, value}})), name + " is set, but neither BUCKET_NAME nor"));
    CHECK(load({{name, value}, {"OUTPUT_DIR", "/tmp/objects"}}));
    CHECK(load(s3_with({{name, value}})));
  }
  // The other links of the chain may have credentials.
  CHECK(load({{"BUCKET_NAME", "feeds"}}));
  CHECK(holds(error_of(load({{"BUCKET_NAME", "feeds"}, {"AWS_ACCESS_KEY_ID", "x"}})),
              "AWS_SECRET_ACCESS_KEY is not"));
  CHECK(holds(error_of(load({{"BUCKET_NAME", "feeds"}, {"AWS_SECRET_ACCESS_KEY_FILE", "/x"}})),
              "AWS_ACCESS_KEY_ID is not"));
  CHECK(load({{"BUCKET_NAME", "feeds"},
              {"AWS_ACCESS_KEY_ID", "x"},
              {"AWS_SECRET_ACCESS_KEY_FILE", "/x"}}));
  CHECK(holds(error_of(load({{"BUCKET_NAME", "feeds"}, {"AWS_WEB_IDENTITY_TOKEN_FILE", "/x"}})),
              "AWS_ROLE_ARN is not"));
}

TEST_CASE("sizes_that_cannot_work_together_are_refused_with_what_to_set") {
  CHECK(holds(error_of(load({{"MEMORY_MAX_BYTES", "7MiB"}})),
              "set MEMORY_MAX_BYTES to at least 8MiB"));
  CHECK(load({{"MEMORY_MAX_BYTES", "8MiB"}}));
  for (const auto& [protocols, least] :
       {std::pair("xml,logs", "16MiB"), std::pair("rpc", "4MiB"), std::pair("xml,rpc", "32MiB"),
        std::pair("logs,rpc", "32MiB")}) {
    CAPTURE(protocols);
    const Environment less{{"PROTOCOLS", protocols}, {"MEMORY_MAX_BYTES", "3MiB"}};
    CHECK(holds(error_of(load(less)), std::string("set MEMORY_MAX_BYTES to at least ") + least));
    CHECK(load({{"PROTOCOLS", protocols}, {"MEMORY_MAX_BYTES", least}}));
  }
  CHECK(load({{"PROTOCOLS", "rpc"}, {"MAX_MESSAGE_SIZE", "17MiB"}, {"MEMORY_MAX_BYTES", "64MiB"}}));
  CHECK(
      holds(error_of(load({{"MAX_FILE_SIZE", "2GiB"}})), "set SPOOL_MAX_BYTES to at least 16GiB"));
  CHECK(load({{"MAX_FILE_SIZE", "2GiB"}, {"SPOOL_MAX_BYTES", "16GiB"}}));
  CHECK(holds(error_of(load({{"SPOOL_MAX_BYTES", "4MiB"}, {"MAX_FILE_SIZE", "1KiB"}})),
              "MAX_MESSAGE_SIZE=1MiB is more than an eighth"));
  CHECK(holds(error_of(load({{"COMPRESSION", "gzip"}, {"COMPRESSION_LEVEL", "9"}})),
              "must be 0 to 3 with COMPRESSION=gzip"));
}

TEST_CASE("the_largest_event_fits_four_times_into_the_share_of_whatever_is_served") {
  const std::map<std::string, std::string> least{{"xml", "8MiB"},       {"logs", "8MiB"},
                                                 {"xml,logs", "16MiB"}, {"rpc", "4MiB"},
                                                 {"xml,rpc", "32MiB"},  {"xml,logs,rpc", "32MiB"}};
  for (const auto& [protocols, memory] : least) {
    CAPTURE(protocols);
    const auto config = load({{"PROTOCOLS", protocols}, {"MEMORY_MAX_BYTES", memory}});
    REQUIRE(config);
    CHECK((config->streams().empty() || config->ingest_memory_bytes() >= 4 * kMiB));
    CHECK((!config->serves("rpc") || config->rpc_memory_bytes() >= 4 * kMiB));
    const std::string less = std::to_string(config->memory_bytes_max - 16);
    CHECK(holds(error_of(load({{"PROTOCOLS", protocols}, {"MEMORY_MAX_BYTES", less}})),
                "set MEMORY_MAX_BYTES to at least " + memory));
  }
  CHECK(load({{"PROTOCOLS", "rpc"}, {"MEMORY_MAX_BYTES", "4MiB"}})->warnings.empty());
}

TEST_CASE("blocks_shrink_with_the_memory_unless_they_are_set") {
  CHECK(load({})->block_bytes == 4 * kMiB);
  CHECK(load({{"MEMORY_MAX_BYTES", "64MiB"}})->block_bytes == kMiB);
  CHECK(load({{"MEMORY_MAX_BYTES", "64MiB"}})->warnings.empty());
  const auto set = load({{"MEMORY_MAX_BYTES", "64MiB"}, {"BLOCK_BYTES", "4MiB"}});
  CHECK(set->block_bytes == 4 * kMiB);
  REQUIRE(set->warnings.size() == 1);
  CHECK(holds(set->warnings[0], "a block of 4MiB may need 53 MiB in egress"));
}

TEST_CASE("path_style_follows_the_endpoint_unless_it_is_set") {
  CHECK_FALSE(load(s3_with({}))->s3_force_path_style);
  CHECK(load(s3_with({{"AWS_ENDPOINT_URL", "http://minio:9000/"}}))->s3_force_path_style);
  CHECK_FALSE(
      load(s3_with({{"AWS_ENDPOINT_URL", "http://minio:9000"}, {"S3_FORCE_PATH_STYLE", "false"}}))
          ->s3_force_path_style);
}

TEST_CASE("the_region_has_two_names_and_the_first_one_wins") {
  const auto other = load({{"AWS_DEFAULT_REGION", "eu-west-1"}});
  REQUIRE(other);
  CHECK(other->aws_region == "eu-west-1");
  CHECK(setting_of(*other, "AWS_REGION").source == "environment AWS_DEFAULT_REGION");
  CHECK(load({{"AWS_DEFAULT_REGION", "eu-west-1"}, {"AWS_REGION", "eu-central-1"}})->aws_region ==
        "eu-central-1");
}

TEST_CASE("a_destination_names_the_store_and_not_how_it_was_written") {
  CHECK(load(s3_with({}))->destination() == "s3://feeds");
  for (const char* url : {"http://[::1]:9000", "https://s3.example.com/path"}) {
    CHECK(load(s3_with({{"AWS_ENDPOINT_URL", url}})));
  }
  CHECK(load(s3_with({{"AWS_ENDPOINT_URL", "http://minio:9000/"}}))->destination() ==
        "s3://feeds@http://minio:9000");
  CHECK(load({{"OUTPUT_DIR", "/srv/objects"}})->destination() == "file:///srv/objects");
  CHECK(load({{"OUTPUT_DIR", "/srv/./objects/"}})->destination() == "file:///srv/objects");
}

TEST_CASE("misspelt_and_vanished_variables_are_warned_about_and_others_are_not") {
  const auto warned = [](const std::string& name) {
    const auto config = load({{name, "canary"}});
    REQUIRE(config);
    REQUIRE(config->warnings.size() <= 1);
    std::string warning = config->warnings.empty() ? "" : config->warnings[0];
    CHECK_FALSE(holds(warning, "canary"));
    return warning;
  };
  CHECK(holds(warned("SPOLL_DIR"), "did you mean SPOOL_DIR?"));
  CHECK(holds(warned("MAX_FILESIZE"), "did you mean MAX_FILE_SIZE?"));
  CHECK(holds(warned("AWS_SECRET_KEY"), "did you mean AWS_SECRET_ACCESS_KEY?"));
  CHECK(holds(warned("S3_BUCKET_NAME"), "did you mean BUCKET_NAME?"));
  CHECK(holds(warned("SLUICE_COLOUR"), "SLUICE_COLOUR is no setting"));
  CHECK(holds(warned("CURRENT_FILE"), "gone on purpose"));
  CHECK(holds(warned("TEMP_FILE"), "gone on purpose"));
  for (const char* innocent :
       {"HOME", "PATH", "HOST", "PWD", "LANG", "TERM", "USER", "HOSTNAME", "SHELL", "AWS_PROFILE",
        "AWS_PAGER", "S3_ARCHIVE", "MAX_DEPTH", "AWS_EXECUTION_ENV", "DISPLAY"}) {
    CAPTURE(innocent);
    CHECK(warned(innocent).empty());
  }
}

TEST_CASE("what_only_the_aws_sdks_read_is_not_taken_for_a_misspelt_setting") {
  for (const char* name : {"AWS_STS_REGIONAL_ENDPOINTS", "AWS_EC2_METADATA_V1_DISABLED",
                           "AWS_METADATA_SERVICE_TIMEOUT", "AWS_DEFAULT_PROFILE", "AWS_CA_BUNDLE",
                           "AWS_SECURITY_TOKEN", "AWS_ENDPOINT_URL_S3"}) {
    const auto config = load({{name, "x"}});
    REQUIRE(config);
    CAPTURE(name);
    CHECK(config->warnings.empty());
  }
}

TEST_CASE("settings_without_effect_are_warned_about") {
  const auto warning = [](Environment environment) {
    const auto config = load(std::move(environment));
    REQUIRE(config);
    return config->warnings.empty() ? std::string() : config->warnings[0];
  };
  CHECK(holds(warning(s3_with({{"OUTPUT_DIR", "/x"}})), "OUTPUT_DIR has no effect"));
  CHECK(holds(warning({{"PRETTY_PRINT_JSON", "true"}}), "PRETTY_PRINT_JSON has no effect"));
  CHECK(holds(warning({{"COMPRESSION_LEVEL", "3"}}), "COMPRESSION_LEVEL has no effect"));
  CHECK(holds(warning({{"QUARANTINE_PREFIX", "xml-events/bad/"}}), "lies under PREFIX"));
  CHECK(holds(warning({{"PREFIX", "events"}, {"OUTPUT_DIR", "/x"}}), "does not end in '/'"));
}

TEST_CASE("prefixes_that_lie_in_each_other_are_warned_about") {
  const auto warned = [](const char* protocols, const char* logs, const char* quarantine) {
    const auto config =
        load({{"PROTOCOLS", protocols}, {"LOGS_PREFIX", logs}, {"QUARANTINE_PREFIX", quarantine}});
    REQUIRE(config);
    return config->warnings.size();
  };
  CHECK(warned("xml,logs", "logs/", "quarantine/") == 0);
  CHECK(warned("xml,logs", "logs/", "logs/bad/") == 1);
  CHECK(warned("xml,logs", "xml-events/logs/", "quarantine/") == 1);
  CHECK(warned("logs", "xml-events/logs/", "quarantine/") == 0);
  CHECK(warned("xml,logs", "logs", "quarantine/") == 1);
}

TEST_CASE("settings_of_listeners_that_need_each_other_are_asked_for_together") {
  CHECK(holds(error_of(load({{"TLS_CERT", "/c"}})), "TLS_KEY is not"));
  CHECK(holds(error_of(load({{"TLS_KEY", "/k"}})), "TLS_CERT is not"));
  CHECK(holds(error_of(load({{"TLS_CLIENT_CA", "/ca"}})), "TLS_CERT is not"));
  CHECK(holds(error_of(load({{"TLS_CERT", "/c"}, {"TLS_KEY", "/k"}, {"TLS_CLIENT_NAMES", "a"}})),
              "TLS_CLIENT_CA is not"));
  const Environment token{{"PROTOCOLS", "logs"}, {"SERVER_TOKEN_FILE", "/t"}};
  CHECK(holds(error_of(load(token)), "everybody on the way reads a token"));
  Environment secure = token;
  secure.insert({{"TLS_CERT", "/c"}, {"TLS_KEY", "/k"}});
  CHECK(load(secure));
  secure["TLS_PROTOCOLS"] = "xml";
  CHECK(holds(error_of(load(secure)), "everybody on the way reads a token"));
  const Environment nowhere{
      {"PROTOCOLS", "logs"}, {"ENABLE_LOG_PERSISTENCE", "false"}, {"LOGS_UPLOAD", "false"}};
  CHECK(holds(error_of(load(nowhere)), "go nowhere"));
}

TEST_CASE("the_rate_limit_is_off_for_xml_and_on_for_logs_until_it_is_said") {
  CHECK_FALSE(load({})->rate_limit_enabled);
  CHECK(load({})->logs_rate_limit_enabled);
  CHECK_FALSE(load({{"RATE_LIMIT_ENABLED", "false"}})->logs_rate_limit_enabled);
  CHECK(load({{"RATE_LIMIT_ENABLED", "true"}})->rate_limit_enabled);
}

TEST_CASE("streams_share_memory_and_uploads_in_equal_parts") {
  const auto both = load({{"PROTOCOLS", "xml,logs,rpc"}, {"MEMORY_MAX_BYTES", "256MiB"}});
  REQUIRE(both);
  REQUIRE(stream_configs(*both).size() == 2);
  CHECK(both->rpc_memory_bytes() == 32 * kMiB);
  for (const StreamConfig& own : stream_configs(*both)) {
    CHECK(own.ingest_memory_bytes + own.egress_memory_bytes == 112 * kMiB);
    CHECK(own.upload_concurrency == 4);
  }
  const auto alone = load({{"MEMORY_MAX_BYTES", "256MiB"}});
  CHECK(stream_config(*alone, Stream::xml).ingest_memory_bytes == 128 * kMiB);
  CHECK(stream_config(*alone, Stream::xml).upload_concurrency == 8);
}

TEST_CASE("rpc_alone_has_all_memory_and_starts_with_the_defaults") {
  const auto config = load({{"PROTOCOLS", "rpc"}});
  REQUIRE(config);
  CHECK(config->rpc_memory_bytes() == config->memory_bytes_max);
  CHECK(holds(error_of(load({{"PROTOCOLS", "rpc"}, {"MEMORY_MAX_BYTES", "3MiB"}})),
              "too small for MAX_MESSAGE_SIZE"));
}

TEST_CASE("names_are_unique_and_every_default_is_a_value_that_may_be_written") {
  std::set<std::string_view> names;
  const Config defaults;
  for (const Setting& setting : all_settings()) {
    CAPTURE(std::string(setting.name));
    CHECK(names.insert(setting.name).second);
    const std::string text = value_of(setting, defaults);
    Config again;
    CHECK((text.empty() || assign(setting, text, again).ok()));
    CHECK(value_of(setting, again) == text);
  }
}

TEST_CASE("a_value_given_is_the_value_in_effect_for_every_setting") {
  // A value other than the default for each type; assign and value_of must be inverse.
  for (const Setting& setting : all_settings()) {
    CAPTURE(std::string(setting.name));
    Config config;
    const std::string before = value_of(setting, config);
    bool changed = false;
    for (const char* text : {"7",
                             "77KiB",
                             "77MiB",
                             "true",
                             "json",
                             "zstd",
                             "error",
                             "other",
                             "http://h:1",
                             "md5",
                             "aws:kms",
                             R"({"a":"b"})",
                             "private",
                             "a=b",
                             "123456789012",
                             "requester",
                             "arn:aws:iam::1:role/r",
                             "compressed",
                             "false",
                             "logs",
                             "10.0.0.0/8",
                             "ERROR"}) {
      if (assign(setting, text, config) && value_of(setting, config) != before) {
        CHECK((lower_case(value_of(setting, config)) == lower_case(text) || is_secret(setting)));
        changed = true;
        break;
      }
    }
    CHECK(changed);
  }
}

TEST_CASE("threads_follow_the_cores_where_they_are_not_set") {
  Config config;
  CHECK(thread_counts(config, 1).validate == 1);
  CHECK(thread_counts(config, 0).convert == 1);
  CHECK(thread_counts(config, 16).validate == 8);
  config.validate_threads = 3;
  CHECK(thread_counts(config, 16).validate == 3);
}

TEST_CASE("docs_configuration_md_is_what_sluice_config_markdown_prints") {
  std::ifstream in(SLUICE_SOURCE_ROOT "/docs/configuration.md", std::ios::binary);
  REQUIRE(in);
  const std::string file{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  CHECK_MESSAGE(file == config_markdown(),
                "run: build/debug/sluice config --markdown > docs/configuration.md");
}

TEST_CASE("what_stores_nothing_needs_no_store") {
  CHECK(load({{"PROTOCOLS", "rpc"}, {"PREFIX", "x/"}}));
  CHECK(load({{"PROTOCOLS", "logs"}, {"LOGS_UPLOAD", "false"}, {"PREFIX", "x/"}}));
  CHECK(holds(error_of(load({{"PROTOCOLS", "logs"}, {"PREFIX", "x/"}})), "PREFIX is set"));
}
