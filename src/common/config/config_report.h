// What `sluice config` prints. Pure.
#pragma once

#include <string>

#include "common/config/config.h"

namespace sluice {

// A line each: name, value, source. Secrets show as "(set)".
std::string config_table(const Config& config);

// docs/configuration.md: defaults and meanings; says nothing of this machine.
std::string config_markdown();

}  // namespace sluice
