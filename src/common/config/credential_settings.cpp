#include "common/config/credential_settings.h"

#include <array>

#include "common/config/setting_rules.h"

namespace sluice {

namespace {

constexpr std::string_view kCredentials = "Credentials";

}  // namespace

// The names are those of the AWS SDKs, in the order of the chain.
// NOLINTNEXTLINE(readability-function-size): one line a setting
std::span<const Setting> credential_settings() {
  static const std::array settings{
      Setting{"AWS_ACCESS_KEY_ID", kCredentials, SecretField{&Config::aws_access_key_id},
              "Key id. From the environment only."},
      Setting{"AWS_SECRET_ACCESS_KEY", kCredentials, SecretField{&Config::aws_secret_access_key},
              "Secret key. From the environment only."},
      Setting{"AWS_SESSION_TOKEN", kCredentials, SecretField{&Config::aws_session_token},
              "Session token of temporary credentials. From the environment only."},
      Setting{"AWS_ACCESS_KEY_ID_FILE",
              kCredentials,
              TextField{&Config::aws_access_key_id_file},
              "File that holds the key id, where AWS_ACCESS_KEY_ID is not set. Read again when the "
              "store refuses what it held, and at SIGHUP; so are the next two.",
              {},
              "none; then AWS_ACCESS_KEY_ID in `/run/secrets`, in upper or lower case"},
      Setting{"AWS_SECRET_ACCESS_KEY_FILE",
              kCredentials,
              TextField{&Config::aws_secret_access_key_file},
              "File that holds the secret key.",
              {},
              "none; then as above"},
      Setting{"AWS_SESSION_TOKEN_FILE",
              kCredentials,
              TextField{&Config::aws_session_token_file},
              "File that holds the session token.",
              {},
              "none; then as above"},
      Setting{"AWS_WEB_IDENTITY_TOKEN_FILE",
              kCredentials,
              TextField{&Config::aws_web_identity_token_file},
              "File with an OpenID Connect token for which STS gives the role AWS_ROLE_ARN. EKS "
              "sets both (IRSA).",
              {},
              "none"},
      Setting{"AWS_ROLE_ARN",
              kCredentials,
              TextField{&Config::aws_role_arn, role_complaint},
              "The role for the web identity.",
              {},
              "none"},
      Setting{"AWS_ROLE_SESSION_NAME",
              kCredentials,
              TextField{&Config::aws_role_session_name, session_name_complaint},
              "What CloudTrail calls the sessions of roles.",
              {},
              "`sluice`"},
      Setting{"AWS_PROFILE",
              kCredentials,
              TextField{&Config::aws_profile},
              "Profile of the shared config and credentials files: keys, role_arn with "
              "source_profile or credential_source, web_identity_token_file, or "
              "credential_process.",
              {},
              "`default`, which may be missing"},
      Setting{"AWS_SHARED_CREDENTIALS_FILE",
              kCredentials,
              TextField{&Config::aws_shared_credentials_file},
              "The shared credentials file.",
              {},
              "`~/.aws/credentials`, which may be missing"},
      Setting{"AWS_CONFIG_FILE",
              kCredentials,
              TextField{&Config::aws_config_file},
              "The shared config file; where both name something, the credentials file wins.",
              {},
              "`~/.aws/config`, which may be missing"},
      Setting{"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
              kCredentials,
              TextField{&Config::aws_container_credentials_relative_uri},
              "Path on http://169.254.170.2 that gives the credentials of a task. ECS sets it.",
              {},
              "none"},
      Setting{"AWS_CONTAINER_CREDENTIALS_FULL_URI",
              kCredentials,
              TextField{&Config::aws_container_credentials_full_uri},
              "URL that gives the credentials of a pod or task: https, or http to this machine, "
              "169.254.170.2, 169.254.170.23 or [fd00:ec2::23]. EKS sets it (pod identity).",
              {},
              "none"},
      Setting{"AWS_CONTAINER_AUTHORIZATION_TOKEN", kCredentials,
              SecretField{&Config::aws_container_authorization_token, nullptr, true},
              "Authorization that it wants. From the environment only."},
      Setting{"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
              kCredentials,
              TextField{&Config::aws_container_authorization_token_file},
              "File that holds it; wins, and is read for every fetch.",
              {},
              "none"},
      Setting{"AWS_EC2_METADATA_DISABLED", kCredentials,
              FlagField{&Config::aws_ec2_metadata_disabled},
              "Never asks the metadata service of an EC2 instance, the last place."},
      Setting{"AWS_EC2_METADATA_SERVICE_ENDPOINT", kCredentials,
              TextField{&Config::aws_ec2_metadata_service_endpoint, endpoint_complaint},
              "Where that service is. Only version 2 is spoken."},
      Setting{"AWS_ENDPOINT_URL_STS",
              kCredentials,
              TextField{&Config::aws_endpoint_url_sts, endpoint_complaint},
              "Endpoint of the Security Token Service, for roles and web identities.",
              {},
              "that of AWS for AWS_REGION"},
  };
  return settings;
}

}  // namespace sluice
