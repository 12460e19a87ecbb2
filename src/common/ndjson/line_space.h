// White space around a line of the logs protocol: what Python's bytes.strip() takes.
#pragma once

#include <string_view>

namespace sluice {

inline bool is_line_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

inline std::string_view strip_line(std::string_view line) {
  while (!line.empty() && is_line_space(line.front())) {
    line.remove_prefix(1);
  }
  while (!line.empty() && is_line_space(line.back())) {
    line.remove_suffix(1);
  }
  return line;
}

}  // namespace sluice
