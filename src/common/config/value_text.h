// How values are written in the environment and in the configuration file, both ways. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sluice {

// ASCII only.
std::string lower_case(std::string_view text);

// Digits only; nothing where it is no number or does not fit.
std::optional<std::uint64_t> parse_count(std::string_view text);

// "5242880", "5MiB", "5 MiB"; KiB, MiB, GiB, TiB, in any case.
std::optional<std::uint64_t> parse_bytes(std::string_view text);
// The largest unit that divides it: "5MiB", "1000".
std::string bytes_text(std::uint64_t bytes);

// true|1|yes|on, false|0|no|off, in any case.
std::optional<bool> parse_flag(std::string_view text);

// A decimal number of `unit`s, such as "60" or "0.25"; nothing where it is negative, no number or
// finer than a millisecond.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text,
                                                        std::chrono::milliseconds unit);
// The number of `unit`s: "60", "0.25".
std::string duration_text(std::chrono::milliseconds duration, std::chrono::milliseconds unit);

// Whether a list with commas has this entry.
bool list_has(std::string_view list, std::string_view entry);

// For a complaint, which is a line: control characters as \x0a, the rest as it is.
std::string quotable_text(std::string_view text);

// Levenshtein's distance.
std::size_t edit_distance(std::string_view left, std::string_view right);

}  // namespace sluice
