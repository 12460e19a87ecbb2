// What the logs protocol makes of a line: {"level": …, "message": …, …}, and the reply to it, byte
// for byte that of the server before this one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "common/ndjson/log_level.h"

namespace sluice {

enum class LogVerdict : std::uint8_t {
  received,        // to be kept
  filtered,        // below the least level, or of a level that is none
  invalid_json,    // also: bad UTF-8, nested too deep, over MAX_MESSAGE_SIZE
  missing_fields,  // level or message
  not_an_object,
  rate_limited,
};
inline constexpr std::size_t kLogVerdicts = 6;

// With its LF.
std::string_view reply_text(LogVerdict verdict);

// Judges a line; white space around it (ASCII) is ignored. Its rules, in the order in which they
// are asked:
//   - JSON of RFC 8259, strictly: NaN and Infinity are none, nor is what stands behind a byte order
//     mark. Objects and arrays nest at most kJsonDepthMax deep. Numbers may have any size (1e400)
//     and any precision. A surrogate escape may stand alone: U+FFFD is read.
//   - an object; where a key comes twice the last one counts, by what keys mean, not by how they
//   are
//     written
//   - level and message are there, of whatever type
//   - the level is a string, a known one (parse_log_level), and at least the least
// A pure function; takes no memory but for a level that is written with escapes, at most its length
// then. `line` is shorter than 2 GiB.
LogVerdict check_log_line(std::string_view line, LogLevel least);

// The level that a JSON value says. Nothing if it is no string, or one that is no known level.
std::optional<LogLevel> log_level_of(std::string_view value);

}  // namespace sluice
