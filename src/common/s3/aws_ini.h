// The form of AWS's shared config and credentials files: sections, "name = value", comments. Pure.
// https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace sluice {

using IniSection = std::map<std::string, std::string, std::less<>>;  // names in lower case
using IniSections = std::map<std::string, IniSection, std::less<>>;

// Sections of one name are one, and the later of two values wins. An indented line goes on with the
// value before it, behind a line break. Rejected with the number of the first line that is nothing
// of all this; never with what it holds.
Result<IniSections> parse_ini(std::string_view text);

// "prod" of "profile prod" and of "profile 'prod'"; "default" of both its forms; else nothing. The
// config file names its profiles so, the credentials file by the name alone.
std::string profile_of_section(std::string_view section);

}  // namespace sluice
