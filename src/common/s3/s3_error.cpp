#include "common/s3/s3_error.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>

#include "common/base/units.h"

namespace sluice {
namespace {

constexpr std::size_t kScanBytesMax = 64 * kKiB;
constexpr std::size_t kCodeBytesMax = 64;
constexpr std::size_t kMessageBytesMax = 512;

struct Entity {
  std::string_view name;
  char character;
};
constexpr std::array<Entity, 5> kEntities{
    {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}}};

bool is_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '-' || c == '_';
}

// What is left of an identifier after everything else has been dropped.
std::string identifier(std::string_view text) {
  std::string kept;
  for (const char c : text) {
    if (is_name(c) && kept.size() < kCodeBytesMax) {
      kept += c;
    }
  }
  return kept;
}

std::string printable(std::string_view text) {
  std::string kept;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    kept += byte < 0x20 || byte >= 0x7F ? '?' : c;
  }
  return kept;
}

std::string utf8(std::uint32_t point) {
  const auto tail = [point](unsigned shift) {
    return static_cast<char>(0x80U | ((point >> shift) & 0x3FU));
  };
  if (point < 0x80) {
    return {static_cast<char>(point)};
  }
  if (point < 0x800) {
    return {static_cast<char>(0xC0U | (point >> 6U)), tail(0)};
  }
  if (point < 0x10000) {
    return {static_cast<char>(0xE0U | (point >> 12U)), tail(6), tail(0)};
  }
  return {static_cast<char>(0xF0U | (point >> 18U)), tail(12), tail(6), tail(0)};
}

// What `reference` ("&amp;", "&#38;", "&#x26;") stands for; nothing where it is none.
std::optional<std::string> character_of(std::string_view reference) {
  for (const Entity& entity : kEntities) {
    if (reference == entity.name) {
      return std::string(1, entity.character);
    }
  }
  if (!reference.starts_with("&#")) {
    return std::nullopt;
  }
  const bool hexadecimal = reference.starts_with("&#x");
  const std::string_view digits = reference.substr(hexadecimal ? 3 : 2);
  std::uint32_t point = 0;
  const auto [end, failure] =
      std::from_chars(digits.data(), digits.data() + digits.size(), point, hexadecimal ? 16 : 10);
  if (failure != std::errc() || end + 1 != digits.data() + digits.size() || point > 0x10FFFF) {
    return std::nullopt;
  }
  return utf8(point);
}

}  // namespace

std::string_view root_element(std::string_view body) {
  body = body.substr(0, kScanBytesMax);
  if (body.starts_with("\xEF\xBB\xBF")) {
    body.remove_prefix(3);
  }
  for (;;) {
    const std::size_t begin = body.find_first_not_of(" \t\r\n");
    if (begin == std::string_view::npos || body[begin] != '<') {
      return {};
    }
    body.remove_prefix(begin);
    const std::string_view end = body.starts_with("<?")     ? "?>"
                                 : body.starts_with("<!--") ? "-->"
                                                            : "";
    if (end.empty()) {
      break;
    }
    const std::size_t at = body.find(end);
    if (at == std::string_view::npos) {
      return {};
    }
    body.remove_prefix(at + end.size());
  }
  body.remove_prefix(1);
  const auto* stop = std::find_if_not(body.begin(), body.end(), is_name);
  return body.substr(0, static_cast<std::size_t>(stop - body.begin()));
}

std::string element_text(std::string_view body, ElementName element) {
  body = body.substr(0, kScanBytesMax);
  const std::string open = "<" + std::string(element.name) + ">";
  std::size_t at = body.find(open);
  if (at == std::string_view::npos) {
    return {};
  }
  at += open.size();
  const std::string_view text = body.substr(at, body.find('<', at) - at);
  return xml_unescape(text).substr(0, element.bytes_max);
}

S3ErrorBody scan_s3_error(std::string_view body) {
  S3ErrorBody error;
  error.is_error = root_element(body) == "Error";
  if (error.is_error) {
    error.code = identifier(element_text(body, {.name = "Code", .bytes_max = kCodeBytesMax}));
    error.message =
        printable(element_text(body, {.name = "Message", .bytes_max = kMessageBytesMax}));
    error.region = identifier(element_text(body, {.name = "Region", .bytes_max = kCodeBytesMax}));
  }
  return error;
}

std::string xml_unescape(std::string_view text) {
  constexpr std::size_t kReferenceBytesMax = 10;
  std::string plain;
  plain.reserve(text.size());
  while (!text.empty()) {
    const std::size_t ampersand = std::min(text.find('&'), text.size());
    plain += text.substr(0, ampersand);
    text.remove_prefix(ampersand);
    if (text.empty()) {
      break;
    }
    const std::size_t end = text.substr(0, kReferenceBytesMax).find(';');
    const auto character =
        end == std::string_view::npos ? std::nullopt : character_of(text.substr(0, end + 1));
    plain += character.value_or("&");
    text.remove_prefix(character ? end + 1 : 1);
  }
  return plain;
}

std::string xml_escape(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    const auto* entity = std::find_if(kEntities.begin(), kEntities.end(),
                                      [c](const Entity& known) { return known.character == c; });
    if (entity != kEntities.end()) {
      escaped += entity->name;
    } else {
      escaped += c;
    }
  }
  return escaped;
}

}  // namespace sluice
