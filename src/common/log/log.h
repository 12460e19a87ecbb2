// Log lines: an event name that never changes, then fields. Text or JSON, to stderr, one line each.
// No secret and no content of an event may ever be a field (invariant 12); values are escaped.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "common/base/result.h"

namespace sluice::log {

enum class Level : std::uint8_t { debug, info, warning, error };

struct Field {
  std::string_view name;
  std::variant<std::int64_t, std::uint64_t, double, std::string> value;

  template <class T>
  Field(std::string_view field_name, T field_value)  // NOLINT(google-explicit-constructor)
      : name(field_name), value(to_value(std::move(field_value))) {}

 private:
  template <class T>
  static std::variant<std::int64_t, std::uint64_t, double, std::string> to_value(T given) {
    if constexpr (std::is_floating_point_v<T>) {
      return static_cast<double>(given);
    } else if constexpr (std::is_integral_v<T> && std::is_signed_v<T>) {
      return static_cast<std::int64_t>(given);
    } else if constexpr (std::is_integral_v<T>) {
      return static_cast<std::uint64_t>(given);
    } else {
      return std::string(std::move(given));
    }
  }
};

using Fields = std::initializer_list<Field>;

// Thread-safe. "2026-11-21T09:14:07.123Z info connection closed peer=192.0.2.1:5000 bytes=2214".
void write(Level level, std::string_view event, Fields fields = {});

inline void debug(std::string_view event, Fields fields = {}) {
  write(Level::debug, event, fields);
}
inline void info(std::string_view event, Fields fields = {}) { write(Level::info, event, fields); }
inline void warning(std::string_view event, Fields fields = {}) {
  write(Level::warning, event, fields);
}
inline void error(std::string_view event, Fields fields = {}) {
  write(Level::error, event, fields);
}

// At most one line a second for each `event`; the next one that passes says how many were left
// out (field "suppressed").
void limited(Level level, std::string_view event, Fields fields = {});

enum class Format : std::uint8_t { text, json };
void set_format(Format format);
void set_level(Level level);
Result<Level> level_from_string(std::string_view text);

}  // namespace sluice::log
