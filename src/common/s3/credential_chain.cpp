#include "common/s3/credential_chain.h"

#include "common/base/utc_text.h"

namespace sluice {

Result<FetchedCredentials> CredentialChain::fetch() {
  tried_.clear();
  std::string reasons;
  for (const auto& link : links_) {
    if (chosen_ != nullptr && link.get() != chosen_) {
      continue;
    }
    SourceAnswer answer = link->fetch();
    if (auto* fetched = std::get_if<FetchedCredentials>(&answer)) {
      const auto& expires_at = fetched->origin.expires_at;
      if (expires_at && *expires_at <= clock_.wall_now()) {
        answer = rejected("gives credentials that expired at " + utc_seconds(*expires_at) +
                          ": is this machine's clock right?");
      } else {
        chosen_ = link.get();
        fetched->origin.key_id_end = key_id_end(fetched->credentials.access_key_id);
        return std::move(*fetched);
      }
    }
    const std::string name(link->name());
    if (const auto* error = std::get_if<Error>(&answer)) {
      tried_.push_back({.name = name, .reason = error->message, .configured = true});
      return Error{error->kind, error->code, name + ": " + error->message};
    }
    std::string reason = std::move(std::get<NotConfigured>(answer).reason);
    reasons.append(reasons.empty() ? "" : "; ").append(name).append(": ").append(reason);
    tried_.push_back({.name = name, .reason = std::move(reason)});
  }
  return rejected("nothing gives credentials (" + reasons + ")");
}

CredentialChain::Links chain_links(const ChainSettings& settings, const StsClient& sts,
                                   const CredentialOutside& outside) {
  auto environment = std::make_unique<EnvironmentSource>(settings.environment, outside);
  auto container = std::make_unique<ContainerSource>(settings.container, outside);
  auto instance = std::make_unique<InstanceMetadataSource>(settings.instance, outside);
  auto profile = std::make_unique<ProfileSource>(
      settings.profile, ProfileSource::Bases{*environment, *container, *instance}, sts, outside);
  CredentialChain::Links links;
  links.push_back(std::move(environment));
  links.push_back(std::make_unique<RunSecretsSource>(settings.run_secrets, outside));
  links.push_back(std::make_unique<WebIdentitySource>(settings.web_identity, sts, outside));
  links.push_back(std::move(profile));
  links.push_back(std::move(container));
  links.push_back(std::move(instance));
  return links;
}

}  // namespace sluice
