#include "common/xml/encoding.h"

#include <algorithm>
#include <array>

namespace sluice {

namespace {

// Lower case, without '-' and '_'; a trailing '#' stands for one or more digits.
constexpr std::array<std::string_view, 4> kUtf8 = {"utf8", "unicode11utf8", "xunicode20utf8",
                                                   "cp65001"};
constexpr std::array<std::string_view, 6> kAscii = {"usascii",      "ascii",   "iso646us",
                                                    "ansix3.41968", "csascii", "us"};
constexpr std::array<std::string_view, 12> kSingleByte = {
    "iso8859#", "latin#", "l1",    "windows125#", "cp125#", "xcp125#",
    "koi8r",    "koi8u",  "cp866", "ibm866",      "cp850",  "tis620"};

bool matches(std::string_view name, std::string_view pattern) {
  if (!pattern.ends_with('#')) {
    return name == pattern;
  }
  pattern.remove_suffix(1);
  return name.size() > pattern.size() && name.size() <= pattern.size() + 2 &&
         name.starts_with(pattern) &&
         std::all_of(name.begin() + pattern.size(), name.end(),
                     [](char c) { return c >= '0' && c <= '9'; });
}

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

}  // namespace

EncodingKind encoding_kind(std::string_view name) {
  std::string plain;
  for (const char c : name.substr(0, 64)) {
    if (c != '-' && c != '_') {
      plain.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c);
    }
  }
  const auto among = [&plain](const auto& patterns) {
    return std::any_of(patterns.begin(), patterns.end(),
                       [&plain](std::string_view pattern) { return matches(plain, pattern); });
  };
  if (name.empty() || among(kUtf8)) {
    return EncodingKind::utf8;
  }
  if (among(kAscii)) {
    return EncodingKind::ascii;
  }
  return among(kSingleByte) ? EncodingKind::single_byte : EncodingKind::unsupported;
}

std::string_view declaration_value(std::string_view declaration, std::string_view key) {
  for (std::size_t at = declaration.find(key); at != std::string_view::npos;
       at = declaration.find(key, at + 1)) {
    std::size_t next = at + key.size();
    while (next < declaration.size() && is_space(declaration[next])) {
      ++next;
    }
    if (next >= declaration.size() || declaration[next] != '=') {
      continue;
    }
    do {
      ++next;
    } while (next < declaration.size() && is_space(declaration[next]));
    if (next >= declaration.size() || (declaration[next] != '"' && declaration[next] != '\'')) {
      continue;
    }
    const std::size_t end = declaration.find(declaration[next], next + 1);
    if (end != std::string_view::npos) {
      return declaration.substr(next + 1, end - next - 1);
    }
  }
  return {};
}

}  // namespace sluice
