#include "commands/credentials_of.h"

#include "commands/store_of.h"
#include "common/http/http_send.h"
#include "common/platform/linked_file.h"
#include "common/platform/subprocess.h"

namespace sluice {
namespace {

constexpr std::uint64_t kFileBytesMax = kMiB;
constexpr std::chrono::seconds kProcessDeadline{30};

ChainSettings chain_settings_of(const Config& config) {
  ChainSettings settings;
  settings.environment = {.access_key_id = config.aws_access_key_id,
                          .secret_access_key = config.aws_secret_access_key,
                          .session_token = config.aws_session_token,
                          .access_key_id_file = config.aws_access_key_id_file,
                          .secret_access_key_file = config.aws_secret_access_key_file,
                          .session_token_file = config.aws_session_token_file};
  settings.web_identity = {
      .token_file = config.aws_web_identity_token_file,
      .role = {.role_arn = config.aws_role_arn, .session_name = config.aws_role_session_name}};
  settings.profile = {.profile = config.aws_profile,
                      .credentials_file = config.aws_shared_credentials_file,
                      .config_file = config.aws_config_file,
                      .home = config.home,
                      .session_name = config.aws_role_session_name};
  settings.container = {.relative_uri = config.aws_container_credentials_relative_uri,
                        .full_uri = config.aws_container_credentials_full_uri,
                        .token = config.aws_container_authorization_token,
                        .token_file = config.aws_container_authorization_token_file};
  settings.instance = {.disabled = config.aws_ec2_metadata_disabled,
                       .endpoint_url = config.aws_ec2_metadata_service_endpoint};
  return settings;
}

}  // namespace

ConfiguredCredentials::ConfiguredCredentials(const Config& config, const Outside& outside)
    : outside_{.read_file =
                   [&filesystem = outside.filesystem](const std::string& path) {
                     return read_linked_file(filesystem, path, kFileBytesMax);
                   },
               .http =
                   // STS is reached as the store is.
               [this, options = http_options_of(config)](HttpRequest request) {
                 return http_send(std::move(request), options, stop_.get_token());
               },
               .run_process =
                   [this](const std::string& command) {
                     return run_subprocess({.command = command, .deadline = kProcessDeadline},
                                           stop_.get_token());
                   },
               .clock = outside.clock},
      sts_({.endpoint_url = config.aws_endpoint_url_sts, .region = config.aws_region}, outside_),
      chain_(chain_links(chain_settings_of(config), sts_, outside_), outside.clock),
      credentials_({.chain = chain_, .clock = outside.clock, .random = system_random()}) {}

ConfiguredCredentials::~ConfiguredCredentials() { stop_.request_stop(); }

CredentialReport ConfiguredCredentials::fetch() {
  credentials_.turn();
  return credentials_.report();
}

void ConfiguredCredentials::start() { thread_.emplace(credentials_); }

}  // namespace sluice
