#include "common/s3/s3_error.h"

#include <algorithm>
#include <array>

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
  std::string text;
  while (at < body.size() && body[at] != '<' && text.size() < element.bytes_max) {
    char c = body[at];
    std::size_t length = 1;
    if (c == '&') {
      for (const Entity& entity : kEntities) {
        if (body.substr(at).starts_with(entity.name)) {
          c = entity.character;
          length = entity.name.size();
        }
      }
    }
    text += c;
    at += length;
  }
  return text;
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
