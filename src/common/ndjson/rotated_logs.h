// Names of log files that were rotated away: <name>.<YYYYMMDD_HHMMSS>[.<n>], UTC, beside the log
// file. Their order is that in which they were made, also where the clock stepped back in between.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/units.h"
#include "common/platform/filesystem.h"

namespace sluice {

struct RotatedLog {
  std::string stamp;    // "YYYYMMDD_HHMMSS"
  std::uint32_t n = 0;  // 0: none in the name
  auto operator<=>(const RotatedLog&) const = default;
};

// Nothing for any name that rotated_name() would not give.
std::optional<RotatedLog> parse_rotated_name(std::string_view log_name, std::string_view name);
std::string rotated_name(std::string_view log_name, const RotatedLog& rotated);

// Of now, or the next one behind `newest` where that is no earlier.
RotatedLog next_rotated(const std::optional<RotatedLog>& newest, WallTime now);

// Those of the log file `log`, oldest first; regular files only.
Result<std::vector<RotatedLog>> rotated_logs(Filesystem& filesystem, const Path& log);

}  // namespace sluice
