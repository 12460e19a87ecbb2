// Rules that span settings. Pure.
#pragma once

#include <string>
#include <vector>

#include "common/config/config.h"

namespace sluice {

// Whether the setting was given by somebody. Config::settings must be filled.
bool explicitly_set(const Config& config, std::string_view name);

// Defaults that follow from other settings.
void apply_dependent_defaults(Config& config);

// Combinations that cannot work: a sentence each, with what to set.
std::vector<std::string> config_complaints(const Config& config);

// Combinations that work, but hardly as meant.
std::vector<std::string> config_warnings(const Config& config);

}  // namespace sluice
