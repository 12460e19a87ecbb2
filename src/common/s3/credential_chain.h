// CredentialChain: the places where credentials may come from, in the order of the AWS SDKs, and
// which of them gives ours. The first link that is configured decides, and keeps deciding: one that
// fails is an error, for the next one would be somebody else (docs/decisions/credential-chain.md).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/s3/container_credentials.h"
#include "common/s3/credential_source.h"
#include "common/s3/instance_metadata.h"
#include "common/s3/profile_credentials.h"
#include "common/s3/static_credentials.h"
#include "common/s3/sts_client.h"
#include "common/s3/web_identity.h"

namespace sluice {

// A link that was looked at, and why it did not give credentials.
struct TriedLink {
  std::string name = {};
  std::string reason = {};
  bool configured = false;  // it should have given some
};

// For one thread.
class CredentialChain {
 public:
  using Links = std::vector<std::unique_ptr<CredentialSource>>;
  CredentialChain(Links links, const Clock& clock) : links_(std::move(links)), clock_(clock) {}

  // Blocks for as long as its sources do. After the first success only the link that gave it is
  // asked. An error says what every link that was tried says.
  [[nodiscard]] Result<FetchedCredentials> fetch();
  // Those that gave nothing in the last fetch(), in order.
  [[nodiscard]] const std::vector<TriedLink>& tried() const { return tried_; }
  // fetch() would give the same for ever.
  [[nodiscard]] bool fixed() const { return chosen_ != nullptr && chosen_->fixed(); }

 private:
  Links links_;
  const Clock& clock_;
  CredentialSource* chosen_ = nullptr;
  std::vector<TriedLink> tried_;
};

struct ChainSettings {
  EnvironmentSource::Values environment;
  std::string run_secrets = "/run/secrets";
  WebIdentitySource::Settings web_identity;
  ProfileSource::Settings profile;
  ContainerSource::Settings container;
  InstanceMetadataSource::Settings instance;
};

// environment, run secrets, web identity, profile, container, instance metadata. All given outlive
// them.
CredentialChain::Links chain_links(const ChainSettings& settings, const StsClient& sts,
                                   const CredentialOutside& outside);

}  // namespace sluice
