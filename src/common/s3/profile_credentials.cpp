#include "common/s3/profile_credentials.h"

#include <algorithm>
#include <cerrno>

#include "common/s3/web_identity.h"

namespace sluice {
namespace {

std::string value_of(const IniSection& profile, std::string_view name) {
  const auto found = profile.find(name);
  return found == profile.end() ? std::string() : found->second;
}

bool has_keys(const IniSection& profile) {
  return profile.contains("aws_access_key_id") || profile.contains("aws_secret_access_key");
}

RoleRequest role_of(const IniSection& profile, const std::string& session_name) {
  const std::string own_name = value_of(profile, "role_session_name");
  return {.role_arn = value_of(profile, "role_arn"),
          .session_name = own_name.empty() ? session_name : own_name,
          .external_id = value_of(profile, "external_id"),
          .duration_seconds = value_of(profile, "duration_seconds")};
}

// What this version has no part of: said, instead of "no credentials".
std::string refused_setting(const IniSection& profile) {
  for (const char* name : {"sso_session", "sso_start_url", "login_session"}) {
    if (profile.contains(name)) {
      return std::string(name) + ": signing in is for people; give the process a role or keys";
    }
  }
  return {};
}

}  // namespace

ProfileSource::ProfileSource(Settings settings, const Bases& bases, const StsClient& sts,
                             const CredentialOutside& outside)
    : settings_(std::move(settings)), bases_(bases), sts_(sts), outside_(outside) {}

Status ProfileSource::read_into(Profiles& profiles, const std::string& path, bool config) const {
  const std::string& explicit_path = config ? settings_.config_file : settings_.credentials_file;
  if (path.empty()) {
    return {};
  }
  const Result<std::string> text = outside_.read_file(path);
  if (!text) {
    const bool missing = text.error().code == ENOENT || text.error().code == ENOTDIR;
    return missing && explicit_path.empty() ? Status() : rejected(text.error().message);
  }
  Result<IniSections> sections = parse_ini(*text);
  if (!sections) {
    return rejected(path + ": " + sections.error().message);
  }
  profiles.files += (profiles.files.empty() ? "" : " and ") + path;
  for (auto& [section, values] : *sections) {
    const std::string name = config ? profile_of_section(section) : section;
    if (name.empty()) {
      continue;  // [sso-session …], [services …]
    }
    for (auto& [key, value] : values) {
      profiles.by_name[name][key] = std::move(value);
    }
  }
  return {};
}

Result<ProfileSource::Profiles> ProfileSource::read() const {
  const auto path_of = [this](const std::string& explicit_path, const char* name) {
    if (explicit_path.starts_with("~/") && !settings_.home.empty()) {
      return settings_.home + explicit_path.substr(1);
    }
    return !explicit_path.empty()   ? explicit_path
           : settings_.home.empty() ? std::string()
                                    : settings_.home + "/.aws/" + name;
  };
  Profiles profiles;
  // The credentials file wins.
  if (Status status = read_into(profiles, path_of(settings_.config_file, "config"), true);
      !status) {
    return status.error();
  }
  if (Status status =
          read_into(profiles, path_of(settings_.credentials_file, "credentials"), false);
      !status) {
    return status.error();
  }
  return profiles;
}

SourceAnswer ProfileSource::fetch() {
  const Result<Profiles> profiles = read();
  if (!profiles) {
    return profiles.error();
  }
  const std::string name = settings_.profile.empty() ? "default" : settings_.profile;
  if (!profiles->by_name.contains(name)) {
    const std::string where = profiles->files.empty()
                                  ? "there is no shared config or credentials file"
                                  : "profile '" + name + "' is not in " + profiles->files;
    return settings_.profile.empty() ? SourceAnswer(NotConfigured{where})
                                     : SourceAnswer(rejected("AWS_PROFILE=" + name + ": " + where));
  }
  SourceAnswer answer = resolve(*profiles, name, {});
  if (const auto* nothing = std::get_if<NotConfigured>(&answer);
      nothing != nullptr && !settings_.profile.empty()) {
    return rejected(nothing->reason);
  }
  return answer;
}

SourceAnswer ProfileSource::resolve(const Profiles& profiles, const std::string& name,
                                    std::vector<std::string> asking) const {
  const std::string where = "profile '" + name + "' in " + profiles.files;
  const auto found = profiles.by_name.find(name);
  if (found == profiles.by_name.end()) {
    return rejected("profile '" + name + "', which '" + asking.back() +
                    "' names as its source_profile, is not in " + profiles.files);
  }
  if (std::find(asking.begin(), asking.end(), name) != asking.end()) {
    return rejected("the source_profile settings from '" + name + "' on lead back to it");
  }
  const IniSection& profile = found->second;
  const bool web_identity = profile.contains("web_identity_token_file");
  if (profile.contains("role_arn") && !web_identity) {
    return assume(profiles, name, std::move(asking));
  }
  if (web_identity) {
    WebIdentitySource source({.token_file = value_of(profile, "web_identity_token_file"),
                              .role = role_of(profile, settings_.session_name)},
                             sts_, outside_);
    SourceAnswer answer = source.fetch();
    if (auto* fetched = std::get_if<FetchedCredentials>(&answer)) {
      fetched->origin.source = where + ", by " + fetched->origin.source;
    } else if (auto* error = std::get_if<Error>(&answer)) {
      error->message = where + ": " + error->message;
    }
    return answer;
  }
  if (has_keys(profile)) {
    return own_keys(profiles, name);
  }
  if (profile.contains("credential_process")) {
    return run(value_of(profile, "credential_process"), where);
  }
  if (const std::string refused = refused_setting(profile); !refused.empty()) {
    return rejected(where + " has " + refused);
  }
  return NotConfigured{where + " names no credentials"};
}

SourceAnswer ProfileSource::own_keys(const Profiles& profiles, const std::string& name) const {
  const IniSection& profile = profiles.by_name.find(name)->second;
  const std::string where = "profile '" + name + "' in " + profiles.files;
  FetchedCredentials fetched;
  fetched.credentials = {.access_key_id = value_of(profile, "aws_access_key_id"),
                         .secret_access_key = value_of(profile, "aws_secret_access_key"),
                         .session_token = value_of(profile, "aws_session_token")};
  if (Status complete = check_complete(fetched.credentials); !complete) {
    return rejected(where + ": " + complete.error().message);
  }
  fetched.origin = {.source = where};
  return fetched;
}

SourceAnswer ProfileSource::base_of(const Profiles& profiles, const std::string& name,
                                    std::vector<std::string> asking) const {
  const IniSection& profile = profiles.by_name.find(name)->second;
  const std::string where = "profile '" + name + "' in " + profiles.files;
  const std::string source_profile = value_of(profile, "source_profile");
  const std::string source = value_of(profile, "credential_source");
  if (!source_profile.empty() && !source.empty()) {
    return rejected(where + " has both source_profile and credential_source");
  }
  if (source_profile == name) {  // its own keys assume its role
    return own_keys(profiles, name);
  }
  if (!source_profile.empty()) {
    asking.push_back(name);
    return resolve(profiles, source_profile, std::move(asking));
  }
  if (source == "Environment") {
    return bases_.environment.fetch();
  }
  if (source == "EcsContainer") {
    return bases_.container.fetch();
  }
  if (source == "Ec2InstanceMetadata") {
    return bases_.instance.fetch();
  }
  return rejected(where +
                  " has a role_arn, and needs a source_profile or a credential_source "
                  "(Environment, EcsContainer or Ec2InstanceMetadata)");
}

SourceAnswer ProfileSource::assume(const Profiles& profiles, const std::string& name,
                                   std::vector<std::string> asking) const {
  const IniSection& profile = profiles.by_name.find(name)->second;
  const std::string where = "profile '" + name + "' in " + profiles.files;
  if (profile.contains("mfa_serial")) {
    return rejected(where + " has an mfa_serial: nobody is here to type the code");
  }
  const SourceAnswer base = base_of(profiles, name, std::move(asking));
  if (const auto* nothing = std::get_if<NotConfigured>(&base)) {
    return rejected(where + ": " + nothing->reason);
  }
  if (const auto* error = std::get_if<Error>(&base)) {
    return Error{error->kind, error->code, where + ": " + error->message};
  }
  const auto& by = std::get<FetchedCredentials>(base);
  Result<FetchedCredentials> fetched =
      sts_.assume_role(by.credentials, role_of(profile, settings_.session_name));
  if (!fetched) {
    return Error{fetched.error().kind, fetched.error().code,
                 where + ": " + fetched.error().message};
  }
  fetched->origin.source = where + ", assumed by those from " + by.origin.source;
  return std::move(*fetched);
}

SourceAnswer ProfileSource::run(const std::string& command, const std::string& where) const {
  const Result<std::string> output = outside_.run_process(command);
  if (!output) {
    return Error{output.error().kind, 0, where + ": credential_process " + output.error().message};
  }
  Result<FetchedCredentials> fetched = parse_process_output(*output);
  if (!fetched) {
    return rejected(where + ": credential_process: " + fetched.error().message);
  }
  fetched->origin.source = where + ", by its credential_process";
  return std::move(*fetched);
}

}  // namespace sluice
