// The settings that a listener can have of its own, in the configuration file: those of TLS. Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/config.h"

namespace sluice {

struct TlsSetting {
  std::string_view name;
  std::string TlsSettings::*member;
};

std::span<const TlsSetting> tls_settings();

// Whether each listener has what belongs together: a sentence for each that has not, with what to
// set.
void check_tls(const Config& config, std::vector<std::string>& complaints);

// Listeners that were given a certificate and speak plain text.
void warn_of_unused_tls(const Config& config, std::vector<std::string>& warnings);

}  // namespace sluice
