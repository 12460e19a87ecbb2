#include "common/spool/segment_origin.h"

#include <nlohmann/json.hpp>

namespace sluice {
namespace {

constexpr std::size_t kNameBytesMax = 200;

bool stands_for_itself(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '-' || c == '_';
}

}  // namespace

std::string with_origin(std::string_view settings, const SegmentOrigin& origin) {
  auto out = nlohmann::ordered_json::parse(settings);
  out["origin"]["file"] = origin.file;
  out["origin"]["sha256"] = origin.sha256;
  return out.dump();
}

std::optional<SegmentOrigin> segment_origin_of(std::string_view settings) {
  const auto in = nlohmann::json::parse(settings, nullptr, false);
  const auto found = in.is_object() ? in.find("origin") : in.end();
  if (!in.is_object() || found == in.end() || !found->is_object()) {
    return std::nullopt;
  }
  const auto text = [&](const char* member) {
    const auto at = found->find(member);
    return at != found->end() && at->is_string() ? at->get<std::string>() : std::string();
  };
  return SegmentOrigin{text("file"), text("sha256")};
}

std::string printable_file_name(std::string_view name) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string shown;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (stands_for_itself(c)) {
      shown += c;
    } else {
      shown += {'%', kDigits[byte >> 4U], kDigits[byte & 15U]};
    }
  }
  return shown.size() <= kNameBytesMax ? shown : shown.substr(shown.size() - kNameBytesMax);
}

}  // namespace sluice
