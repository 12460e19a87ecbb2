#include "common/log/log_format.h"

#include <fmt/format.h>

#include <ctime>
#include <nlohmann/json.hpp>

#include "common/base/utf8.h"

namespace sluice::log {

namespace {

// Appends the character at the start of `text` and says how many bytes it took.
std::size_t append_escaped(std::string& out, std::string_view text) {
  const auto byte = static_cast<unsigned char>(text[0]);
  const std::size_t length = utf8_length(text);
  if (length == 0) {
    out += fmt::format("\\x{:02x}", byte);
    return 1;
  }
  // C1 controls are U+0080 to U+009F: some terminals obey them.
  if (length == 2 && byte == 0xC2 && static_cast<unsigned char>(text[1]) < 0xA0) {
    out += fmt::format("\\u{:04x}", static_cast<unsigned char>(text[1]));
    return 2;
  }
  switch (byte) {
    case '\n':
      out += "\\n";
      return 1;
    case '\r':
      out += "\\r";
      return 1;
    case '\t':
      out += "\\t";
      return 1;
    case '"':
    case '\\':
      out += '\\';
      out += text[0];
      return 1;
    default:
      break;
  }
  if (byte < 0x20 || byte == 0x7F) {
    out += fmt::format("\\x{:02x}", byte);
    return 1;
  }
  out += text.substr(0, length);
  return length;
}

void append_value(std::string& out, std::string_view value) {
  std::string escaped;
  escaped.reserve(value.size() + 2);
  for (std::string_view rest = value; !rest.empty();) {
    rest.remove_prefix(append_escaped(escaped, rest));
  }
  const bool quote =
      value.empty() || escaped != value || value.find_first_of(" =") != std::string_view::npos;
  if (quote) {
    out += '"';
  }
  out += escaped;
  if (quote) {
    out += '"';
  }
}

}  // namespace

std::string timestamp_text(WallTime time) {
  const auto milliseconds = std::chrono::floor<std::chrono::milliseconds>(time);
  const auto seconds = std::chrono::floor<std::chrono::seconds>(milliseconds);
  const std::time_t whole = std::chrono::system_clock::to_time_t(
      std::chrono::time_point_cast<std::chrono::system_clock::duration>(seconds));
  std::tm parts{};
  ::gmtime_r(&whole, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                     (milliseconds - seconds).count());
}

std::string_view to_string(Level level) {
  switch (level) {
    case Level::debug:
      return "debug";
    case Level::info:
      return "info";
    case Level::warning:
      return "warning";
    case Level::error:
      return "error";
  }
  return "error";
}

std::string format_text(WallTime time, Level level, std::string_view event,
                        std::span<const Field> fields) {
  std::string line = fmt::format("{} {} {}", timestamp_text(time), to_string(level), event);
  for (const Field& field : fields) {
    line += ' ';
    line += field.name;
    line += '=';
    std::visit(
        [&](const auto& value) {
          if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::string>) {
            append_value(line, value);
          } else {
            line += fmt::format("{}", value);
          }
        },
        field.value);
  }
  return line;
}

std::string format_json(WallTime time, Level level, std::string_view event,
                        std::span<const Field> fields) {
  nlohmann::ordered_json object;
  object["time"] = timestamp_text(time);
  object["level"] = to_string(level);
  object["event"] = event;
  for (const Field& field : fields) {
    std::visit([&](const auto& value) { object[std::string(field.name)] = value; }, field.value);
  }
  return object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace sluice::log
