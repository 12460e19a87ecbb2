// The levels of the logs protocol.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace sluice {

enum class LogLevel : std::uint8_t { debug, info, warning, error, critical };

// "DEBUG", "INFO", "WARNING", "ERROR" or "CRITICAL".
std::string_view to_string(LogLevel level);
inline constexpr std::size_t kLogLevelLengthMax = 8;
// Upper or lower case, white space around it (ASCII) ignored; nothing of any other text.
std::optional<LogLevel> parse_log_level(std::string_view text);

}  // namespace sluice
