#include "common/config/tls_settings.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "common/config/value_text.h"

namespace sluice {

namespace {

constexpr TlsSetting kCert{"TLS_CERT", &TlsSettings::cert};
constexpr TlsSetting kKey{"TLS_KEY", &TlsSettings::key};
constexpr TlsSetting kClientCa{"TLS_CLIENT_CA", &TlsSettings::client_ca};
constexpr TlsSetting kClientNames{"TLS_CLIENT_NAMES", &TlsSettings::client_names};

constexpr std::array kAll{kCert, kKey, kClientCa, kClientNames};

struct Need {
  TlsSetting of;
  TlsSetting what;
};
constexpr std::array<Need, 4> kNeeds{
    {{kCert, kKey}, {kKey, kCert}, {kClientCa, kCert}, {kClientNames, kClientCa}}};

std::vector<Need> unmet_needs(const TlsSettings& tls) {
  std::vector<Need> unmet;
  std::copy_if(kNeeds.begin(), kNeeds.end(), std::back_inserter(unmet), [&](const Need& need) {
    return !(tls.*need.of.member).empty() && (tls.*need.what.member).empty();
  });
  return unmet;
}

TlsSettings tls_of_all(const Config& config) {
  return {config.tls_cert, config.tls_key, config.tls_client_ca, config.tls_client_names};
}

// nullptr where it has nothing of its own.
const SettingValue* first_of_listener(const Config& config, std::string_view protocol) {
  const std::string prefix = std::string(protocol) + ".";
  const auto found =
      std::find_if(config.of_listeners.begin(), config.of_listeners.end(),
                   [&](const SettingValue& one) { return one.name.starts_with(prefix); });
  return found == config.of_listeners.end() ? nullptr : &*found;
}

std::string complaint_of(const Need& need, std::string_view protocol, const std::string& source) {
  const std::string listener(protocol);
  const std::string given(need.of.name);
  const std::string missing(need.what.name);
  return given + " is set for the " + listener + " listener, but " + missing + " is not: in \"" +
         listener + "\" of " + source + " set " + missing + ", or " + given + " to \"\"";
}

}  // namespace

std::span<const TlsSetting> tls_settings() { return kAll; }

const SettingValue* Config::of_listener(std::string_view protocol, std::string_view setting) const {
  const std::string name = std::string(protocol) + "." + std::string(setting);
  const auto found = std::find_if(of_listeners.begin(), of_listeners.end(),
                                  [&](const SettingValue& one) { return one.name == name; });
  return found == of_listeners.end() ? nullptr : &*found;
}

TlsSettings Config::tls_of(std::string_view protocol) const {
  const auto is_switched_off = [&](const TlsSetting& setting) {
    const SettingValue* own = of_listener(protocol, setting.name);
    return own != nullptr && own->value.empty();
  };
  // With what it does not want goes what the others have beside it.
  TlsSettings tls = is_switched_off(kCert) ? TlsSettings() : tls_of_all(*this);
  if (is_switched_off(kClientCa)) {
    tls.client_names.clear();
  }
  for (const TlsSetting& setting : kAll) {
    if (const SettingValue* own = of_listener(protocol, setting.name)) {
      tls.*setting.member = own->value;
    }
  }
  return tls;
}

bool Config::speaks_tls(std::string_view protocol) const {
  return !tls_of(protocol).cert.empty() && list_has(tls_protocols, protocol);
}

void check_tls(const Config& config, std::vector<std::string>& complaints) {
  bool as_all = false;  // somebody is served with what holds for all
  for (const std::string_view protocol : kProtocols) {
    const SettingValue* own = first_of_listener(config, protocol);
    if (own == nullptr) {
      as_all = as_all || config.serves(protocol);
      continue;
    }
    for (const Need& need : unmet_needs(config.tls_of(protocol))) {
      complaints.push_back(complaint_of(need, protocol, own->source));
    }
  }
  if (as_all) {
    for (const auto& [of, what] : unmet_needs(tls_of_all(config))) {
      complaints.push_back(std::string(of.name) + " is set, but " + std::string(what.name) +
                           " is not");
    }
  }
}

void warn_of_unused_tls(const Config& config, std::vector<std::string>& warnings) {
  for (const std::string_view protocol : kProtocols) {
    const SettingValue* own = first_of_listener(config, protocol);
    if (own != nullptr && !config.tls_of(protocol).cert.empty() && config.serves(protocol) &&
        !config.speaks_tls(protocol)) {
      warnings.push_back(own->name + " has no effect: TLS_PROTOCOLS does not name " +
                         std::string(protocol));
    }
  }
}

}  // namespace sluice
