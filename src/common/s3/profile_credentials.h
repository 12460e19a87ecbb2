// Credentials of a profile in the shared config and credentials files: keys, a role assumed by them
// or by another source, a web identity, or a command.
// https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html
#pragma once

#include <string>
#include <vector>

#include "common/s3/aws_ini.h"
#include "common/s3/credential_source.h"
#include "common/s3/sts_client.h"

namespace sluice {

class ProfileSource final : public CredentialSource {
 public:
  struct Settings {
    std::string profile = {};           // empty: "default", which may be missing
    std::string credentials_file = {};  // empty: ~/.aws/credentials; both may be missing then
    std::string config_file = {};
    std::string home = {};          // empty: no default files
    std::string session_name = {};  // of roles whose profile names none
  };
  // What credential_source names. They outlive this.
  struct Bases {
    CredentialSource& environment;
    CredentialSource& container;
    CredentialSource& instance;
  };
  ProfileSource(Settings settings, const Bases& bases, const StsClient& sts,
                const CredentialOutside& outside);

  [[nodiscard]] std::string_view name() const override { return "profile"; }
  [[nodiscard]] SourceAnswer fetch() override;

 private:
  struct Profiles {
    IniSections by_name;
    std::string files;  // the ones that were read, for messages
  };
  [[nodiscard]] Result<Profiles> read() const;
  [[nodiscard]] Status read_into(Profiles& profiles, const std::string& path, bool config) const;
  // `asking` are the profiles that led to this one.
  [[nodiscard]] SourceAnswer resolve(const Profiles& profiles, const std::string& name,
                                     std::vector<std::string> asking) const;
  [[nodiscard]] SourceAnswer assume(const Profiles& profiles, const std::string& name,
                                    std::vector<std::string> asking) const;
  [[nodiscard]] SourceAnswer base_of(const Profiles& profiles, const std::string& name,
                                     std::vector<std::string> asking) const;
  [[nodiscard]] SourceAnswer own_keys(const Profiles& profiles, const std::string& name) const;
  [[nodiscard]] SourceAnswer run(const std::string& command, const std::string& where) const;

  const Settings settings_;
  const Bases bases_;
  const StsClient& sts_;
  const CredentialOutside& outside_;
};

}  // namespace sluice
