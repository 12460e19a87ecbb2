// What stands before the root element: the XML declaration (XML 1.0, production 23) strictly, the
// rest as far as is needed to find the root.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace sluice {

struct XmlDeclaration {
  std::size_t end = 0;        // behind byte order mark and declaration; 0 without either
  std::string_view encoding;  // as written, empty where not declared
  std::string_view error;     // not empty: why it is refused
  std::size_t error_at = 0;
};

XmlDeclaration read_declaration(std::string_view document);

// Offset of the root's '<' from `begin` on, behind white space, comments and PIs.
struct XmlRoot {
  std::size_t begin = 0;
  bool doctype = false;  // there is a DOCTYPE at `begin`
};
XmlRoot find_root(std::string_view document, std::size_t begin);

}  // namespace sluice
