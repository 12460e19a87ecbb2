// What nlohmann's parser says of a text, for the tests of scan_json and its fuzz target.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "common/ndjson/json_scan.h"

namespace sluice::test {

struct Nothing {
  static void object_begins(std::uint32_t /*depth*/) {}
  static void member_begins(std::uint32_t /*depth*/, JsonSpan /*key*/, std::uint32_t /*value*/) {}
  static void member_ends(std::uint32_t /*depth*/, std::uint32_t /*value_end*/) {}
};

inline bool is_json(std::string_view text) {
  Nothing sink;
  return scan_json(text, sink);
}

enum class Opinion : std::uint8_t { json, not_json, none };

// `none` where the two may differ: nlohmann has no numbers past a double, refuses surrogates that
// stand alone, skips a byte order mark, takes a NUL for the end, and nests without a limit.
inline Opinion second_opinion(std::string_view text) {
  struct Events : nlohmann::json_sax<nlohmann::json> {
    bool null() override { return true; }
    bool boolean(bool /*value*/) override { return true; }
    bool number_integer(number_integer_t /*value*/) override { return true; }
    bool number_unsigned(number_unsigned_t /*value*/) override { return true; }
    bool number_float(number_float_t /*value*/, const string_t& /*text*/) override { return true; }
    bool string(string_t& /*value*/) override { return true; }
    bool binary(binary_t& /*value*/) override { return true; }
    bool start_object(std::size_t /*elements*/) override { return deeper(); }
    bool key(string_t& /*value*/) override { return true; }
    bool end_object() override { return higher(); }
    bool start_array(std::size_t /*elements*/) override { return deeper(); }
    bool end_array() override { return higher(); }
    bool parse_error(std::size_t /*position*/, const std::string& /*token*/,
                     const nlohmann::detail::exception& fault) override {
      constexpr int kOutOfRange = 406;
      const std::string_view what = fault.what();
      no_opinion = fault.id == kOutOfRange || what.find("surrogate") != std::string_view::npos;
      return false;
    }
    bool deeper() {
      no_opinion = ++depth > kJsonDepthMax;
      return !no_opinion;
    }
    bool higher() {
      --depth;
      return true;
    }
    std::uint32_t depth = 0;
    bool no_opinion = false;
  };
  if (text.find('\0') != std::string_view::npos || text.starts_with("\xEF\xBB\xBF")) {
    return Opinion::none;
  }
  Events events;
  const bool accepted = nlohmann::json::sax_parse(text.begin(), text.end(), &events);
  if (events.no_opinion) {
    return Opinion::none;
  }
  return accepted ? Opinion::json : Opinion::not_json;
}

}  // namespace sluice::test
