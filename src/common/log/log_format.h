// How a log line is written. Pure: no I/O, any thread.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "common/base/units.h"
#include "common/log/log.h"

namespace sluice::log {

// "2026-11-21T09:14:07.123Z", UTC.
std::string timestamp_text(WallTime time);

std::string_view to_string(Level level);

// `<time> <level> <event> name=value …`, without a newline. Values that hold anything but printable
// characters without space, quote, backslash and '=' are quoted; control characters (C0, DEL, C1)
// and bytes that are no UTF-8 are always escaped: \n, \t, \x1b, \u0085.
std::string format_text(WallTime time, Level level, std::string_view event,
                        std::span<const Field> fields);

// One JSON object: time, level, event, then the fields in their order. Invalid UTF-8 becomes
// U+FFFD.
std::string format_json(WallTime time, Level level, std::string_view event,
                        std::span<const Field> fields);

}  // namespace sluice::log
