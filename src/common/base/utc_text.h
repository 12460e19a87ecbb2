// Times as text, in UTC: ISO 8601 with a Z.
#pragma once

#include <string>

#include "common/base/units.h"

namespace sluice {

// "2026-11-21T09:14:07Z"; what is less than a second is left out.
std::string utc_seconds(WallTime time);
// "2026-11-21T09:14:07.123Z"
std::string utc_milliseconds(WallTime time);

}  // namespace sluice
