// The configuration file, taken apart: a JSON object of settings, and of an object for each
// listener that has some of its own. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/config/config.h"

namespace sluice {

struct FileValues {
  std::map<std::string, std::string, std::less<>> of_all;  // as the environment would write them
  std::vector<SettingValue> of_listeners;                  // for Config::of_listeners
};

// Keys that are no settings or not for one listener, values of another type and secrets are
// complaints.
FileValues values_of_file(const ConfigFile& file, std::vector<std::string>& complaints);

}  // namespace sluice
