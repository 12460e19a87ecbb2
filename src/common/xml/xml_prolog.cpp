#include "common/xml/xml_prolog.h"

#include <algorithm>

#include "common/xml/byte_scan.h"

namespace sluice {

namespace {

using byte_scan::is_space;

// Reads `text` from left to right.
struct Cursor {
  std::string_view text;
  std::size_t at = 0;

  bool take(std::string_view expected) {
    if (!text.substr(at).starts_with(expected)) {
      return false;
    }
    at += expected.size();
    return true;
  }
  bool space() {
    const std::size_t before = at;
    while (at < text.size() && is_space(text[at])) {
      ++at;
    }
    return at > before;
  }
  // S? '=' S? ('"' value '"' | "'" value "'")
  std::optional<std::string_view> value() {
    space();
    if (!take("=")) {
      return std::nullopt;
    }
    space();
    if (at == text.size() || (text[at] != '"' && text[at] != '\'')) {
      return std::nullopt;
    }
    const std::size_t end = text.find(text[at], at + 1);
    if (end == std::string_view::npos) {
      return std::nullopt;
    }
    const std::string_view found = text.substr(at + 1, end - at - 1);
    at = end + 1;
    return found;
  }
};

bool is_version_1(std::string_view version) {
  return version.starts_with("1.") && version.size() > 2 && version.size() <= 8 &&
         std::all_of(version.begin() + 2, version.end(),
                     [](char c) { return c >= '0' && c <= '9'; });
}

bool is_encoding_name(std::string_view name) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  return !name.empty() && name.size() <= 64 && letter(name[0]) &&
         std::all_of(name.begin(), name.end(), [&](char c) {
           return letter(c) || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
         });
}

// From behind "<?xml". Returns why it is none, or nothing.
std::string_view read_attributes(Cursor& in, XmlDeclaration& out) {
  in.space();
  if (!in.take("version")) {
    return "an XML declaration without a version";
  }
  const auto version = in.value();
  if (!version) {
    return "a malformed XML declaration";
  }
  if (!is_version_1(*version)) {
    return "an XML version that is not 1.0 or 1.1";
  }
  bool space = in.space();
  if (space && in.take("encoding")) {
    const auto encoding = in.value();
    if (!encoding || !is_encoding_name(*encoding)) {
      return "a malformed XML declaration";
    }
    out.encoding = *encoding;
    space = in.space();
  }
  if (space && in.take("standalone")) {
    const auto standalone = in.value();
    if (!standalone || (*standalone != "yes" && *standalone != "no")) {
      return "a malformed XML declaration";
    }
    in.space();
  }
  return in.take("?>") ? std::string_view() : "a malformed XML declaration";
}

}  // namespace

XmlDeclaration read_declaration(std::string_view document) {
  XmlDeclaration declaration;
  Cursor in{document};
  in.take("\xEF\xBB\xBF");
  declaration.end = in.at;
  if (!in.take("<?xml") || in.at == document.size() ||
      (!is_space(document[in.at]) && document[in.at] != '?')) {
    return declaration;
  }
  declaration.error = read_attributes(in, declaration);
  declaration.error_at = in.at;
  declaration.end = in.at;
  Cursor next = in;
  next.space();
  if (declaration.error.empty() && next.take("<?xml") && next.at < document.size() &&
      is_space(document[next.at])) {
    declaration.error = "two XML declarations";
    declaration.error_at = next.at - 5;
  }
  return declaration;
}

XmlRoot find_root(std::string_view document, std::size_t begin) {
  Cursor in{document, begin};
  for (;;) {
    in.space();
    std::string_view end;
    if (in.take("<!--")) {
      end = "-->";
    } else if (in.take("<?")) {
      end = "?>";
    } else {
      return {in.at, document.substr(in.at).starts_with("<!DOCTYPE")};
    }
    const std::size_t found = document.find(end, in.at);
    if (found == std::string_view::npos) {
      return {document.size(), false};
    }
    in.at = found + end.size();
  }
}

}  // namespace sluice
