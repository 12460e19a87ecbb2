// Times as text, in UTC: ISO 8601 with a Z.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/units.h"

namespace sluice {

// "2026-11-21T09:14:07Z"; what is less than a second is left out.
std::string utc_seconds(WallTime time);
// "2026-11-21T09:14:07.123Z"
std::string utc_milliseconds(WallTime time);
// "2026-11-21T09:14:07.123456Z", without allocating: for every line of a log.
void append_utc_microseconds(WallTime time, std::string& out);
inline constexpr std::size_t kUtcMicrosecondsLength = 27;
// What utc_milliseconds wrote.
std::optional<WallTime> parse_utc_milliseconds(std::string_view text);

// ISO 8601: "2026-11-21T09:14:07Z", with fractions of a second, which are left out, and an offset
// allowed.
std::optional<WallTime> parse_iso8601(std::string_view text);

}  // namespace sluice
