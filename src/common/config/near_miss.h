// Finds settings that somebody probably meant with another name. Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

// The setting that `name` is probably a misspelling of; empty where none is near.
std::string_view nearest_setting(std::string_view name);

// A sentence for every variable that looks like a setting and is none, and for those of the
// predecessors that are gone on purpose. Values are never quoted.
std::vector<std::string> environment_warnings(const std::map<std::string, std::string>& variables);

}  // namespace sluice
