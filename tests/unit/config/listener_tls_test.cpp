// The settings of TLS that the configuration file gives for one listener.
#include <doctest/doctest.h>

#include "common/config/config.h"
#include "common/config/config_report.h"

using namespace sluice;

namespace {

using Environment = std::map<std::string, std::string>;

constexpr const char* kGeneral = R"("TLS_CERT": "a.pem", "TLS_KEY": "a.key")";

// All three are served, unless the environment says otherwise.
Result<Config> load(const std::string& file, Environment environment = {}) {
  environment.insert({"PROTOCOLS", "xml,logs,rpc"});
  return load_config({std::move(environment), ConfigFile{"sluice.json", "{" + file + "}"}});
}

std::string error_of(const Result<Config>& result) {
  return result ? "(no error)" : result.error().message;
}

bool holds(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

std::string text_of(const TlsSettings& tls) {
  return tls.cert + "|" + tls.key + "|" + tls.client_ca + "|" + tls.client_names;
}

}  // namespace

TEST_CASE("what_the_file_gives_for_a_listener_wins_there_and_the_rest_holds_as_for_all") {
  const auto config = load(std::string(kGeneral) + R"(, "TLS_CLIENT_NAMES": "all", "logs": {
      "TLS_CERT": "b.pem", "TLS_KEY": "b.key"}, "rpc": {"TLS_CLIENT_NAMES": "one"})",
                           {{"TLS_CERT", "env.pem"}, {"TLS_CLIENT_CA", "env-ca.pem"}});
  REQUIRE(config);
  CHECK(text_of(config->tls_of("xml")) == "env.pem|a.key|env-ca.pem|all");
  CHECK(text_of(config->tls_of("logs")) == "b.pem|b.key|env-ca.pem|all");
  CHECK(text_of(config->tls_of("rpc")) == "env.pem|a.key|env-ca.pem|one");
}

TEST_CASE("a_listener_alone_may_speak_tls") {
  const auto config = load(R"("logs": {"TLS_CERT": "b.pem", "TLS_KEY": "b.key"})");
  REQUIRE(config);
  CHECK(config->speaks_tls("logs"));
  CHECK_FALSE(config->speaks_tls("xml"));
  CHECK_FALSE(config->speaks_tls("rpc"));
  CHECK(config->warnings.empty());
}

TEST_CASE("an_empty_certificate_is_plain_text_and_an_empty_authority_asks_nobody") {
  const auto config = load(std::string(kGeneral) +
                           R"(, "TLS_CLIENT_CA": "ca.pem", "TLS_CLIENT_NAMES": "all",
                              "xml": {"TLS_CERT": ""}, "rpc": {"TLS_CLIENT_CA": ""})");
  REQUIRE_MESSAGE(config, error_of(config));
  CHECK_FALSE(config->speaks_tls("xml"));
  CHECK(text_of(config->tls_of("xml")) == "|||");
  CHECK(text_of(config->tls_of("rpc")) == "a.pem|a.key||");
  CHECK(text_of(config->tls_of("logs")) == "a.pem|a.key|ca.pem|all");
  CHECK(load(std::string(kGeneral) + R"(, "xml": {"TLS_CERT": "", "TLS_KEY": ""})"));
}

TEST_CASE("a_listener_that_tls_protocols_does_not_name_speaks_plain_text_and_it_is_said") {
  const std::string logs = R"("logs": {"TLS_CERT": "b.pem", "TLS_KEY": "b.key"})";
  const auto config = load(logs, {{"TLS_PROTOCOLS", "xml"}});
  REQUIRE(config);
  CHECK_FALSE(config->speaks_tls("logs"));
  REQUIRE(config->warnings.size() == 1);
  CHECK(config->warnings[0] == "logs.TLS_CERT has no effect: TLS_PROTOCOLS does not name logs");
  CHECK(load(logs, {{"TLS_PROTOCOLS", "xml"}, {"PROTOCOLS", "xml"}})->warnings.empty());
}

TEST_CASE("an_object_of_a_listener_is_checked_key_by_key") {
  CHECK(error_of(load(R"("logs": {"TLS_CERTS": "b.pem"})")) ==
        "logs.TLS_CERTS in sluice.json: for one listener there are only TLS_CERT, TLS_KEY, "
        "TLS_CLIENT_CA, TLS_CLIENT_NAMES");
  CHECK(
      holds(error_of(load(R"("xml": {"PORT": 1})")), "xml.PORT in sluice.json: for one listener"));
  CHECK(error_of(load(R"("logs": {"TLS_CERT": 1})")) ==
        "logs.TLS_CERT in sluice.json must be a string");
  CHECK(error_of(load(R"("logs": {"TLS_CERT": "a\u0000\n"})")) ==
        "logs.TLS_CERT (file sluice.json) is \"a\\x00\\x0a\", but must not hold a NUL");
  CHECK(error_of(load(R"("rpc": "b.pem")")) ==
        "rpc in sluice.json must be an object that holds some of TLS_CERT, TLS_KEY, TLS_CLIENT_CA, "
        "TLS_CLIENT_NAMES");
  CHECK(error_of(load(R"("LOG": {"TLS_CERT": "b.pem"})")) ==
        "LOG in sluice.json is no setting; did you mean logs?");
  CHECK(holds(error_of(load(R"("admin": {"TLS_CERT": "b.pem"})")),
              "admin in sluice.json is no setting; `sluice config`"));
  CHECK(load(R"("logs": {})"));
}

TEST_CASE("what_belongs_together_is_asked_for_of_each_listener") {
  CHECK(error_of(load(R"("logs": {"TLS_CERT": "b.pem"})")) ==
        "TLS_CERT is set for the logs listener, but TLS_KEY is not: in \"logs\" of file "
        "sluice.json set TLS_KEY, or TLS_CERT to \"\"");
  CHECK(holds(error_of(load(R"("xml": {"TLS_KEY": "b.key"})")),
              "TLS_KEY is set for the xml listener, but TLS_CERT is not"));
  CHECK(holds(error_of(load(R"("xml": {"TLS_CERT": "", "TLS_CLIENT_CA": "ca.pem"})")),
              "TLS_CLIENT_CA is set for the xml listener, but TLS_CERT is not"));
  CHECK(holds(error_of(load(std::string(kGeneral) + R"(, "rpc": {"TLS_CLIENT_NAMES": "one"})")),
              "TLS_CLIENT_NAMES is set for the rpc listener, but TLS_CLIENT_CA is not"));
  // Half of it may hold for all, as long as nobody has to be content with that.
  const std::string shared = R"("TLS_KEY": "a.key", "logs": {"TLS_CERT": "b.pem"})";
  CHECK(load(shared, {{"PROTOCOLS", "logs"}}));
  CHECK(error_of(load(shared)) == "TLS_KEY is set, but TLS_CERT is not");
}

TEST_CASE("a_token_file_asks_what_the_logs_listener_speaks") {
  const Environment token{{"SERVER_TOKEN_FILE", "/t"}};
  CHECK(load(R"("logs": {"TLS_CERT": "b.pem", "TLS_KEY": "b.key"})", token));
  CHECK(holds(error_of(load(std::string(kGeneral) + R"(, "logs": {"TLS_CERT": ""})", token)),
              "SERVER_TOKEN_FILE is set, but the logs listener speaks plain text"));
}

TEST_CASE("the_table_shows_what_is_set_for_one_listener") {
  const auto config = load(std::string(kGeneral) + R"(, "xml": {"TLS_CERT": ""},
                           "logs": {"TLS_CERT": "b.pem"})");
  REQUIRE(config);
  const std::string table = config_table(*config);
  CHECK(holds(table, "\nlogs.TLS_CERT "));
  CHECK(holds(table.substr(table.find("logs.TLS_CERT")), " b.pem "));
  CHECK(holds(table.substr(table.find("xml.TLS_CERT")), " -  "));
  CHECK(holds(table.substr(table.find("xml.TLS_CERT")), "file sluice.json"));
}
