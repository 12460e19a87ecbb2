// Any bytes as one document: the parser accepts or refuses, whatever it accepts becomes JSON that
// another parser reads, without a key twice, and with as much of it in pretty as in compact form.
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "common/xml/block_cost.h"
#include "common/xml/xml_parser.h"
#include "common/xml/xml_to_json.h"

namespace {

nlohmann::json parse_strictly(const std::string& text) {
  std::vector<std::set<std::string>> keys;
  return nlohmann::json::parse(
      text, [&keys](int /*depth*/, nlohmann::json::parse_event_t event, nlohmann::json& parsed) {
        if (event == nlohmann::json::parse_event_t::object_start) {
          keys.emplace_back();
        } else if (event == nlohmann::json::parse_event_t::object_end) {
          keys.pop_back();
        } else if (event == nlohmann::json::parse_event_t::key &&
                   !keys.back().insert(parsed.get<std::string>()).second) {
          std::abort();
        }
        return true;
      });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice;  // NOLINT
  static XmlParser parser;
  static XmlToJson converter;
  std::string source(reinterpret_cast<const char*>(data), size);
  source += 'x';  // where the terminator goes for a while
  EventTape tape;
  parser.begin_tape();
  if (parser.parse(source, {0, static_cast<std::uint32_t>(size), true}, tape)) {
    return 0;
  }
  std::string compact;
  std::string pretty;
  converter.append(tape, 0, source, {false, 0}, compact);
  converter.append(tape, 0, source, {true, 1}, pretty);
  if (parse_strictly(compact) != parse_strictly(pretty)) {
    std::abort();
  }
  SegmentSettings settings;
  settings.format = OutputFormat::json;
  const std::uint64_t root_bytes = tape.event(0).root.length;
  if (compact.size() > output_bytes_max(settings, root_bytes)) {
    std::abort();
  }
  settings.pretty = true;
  if (pretty.size() > output_bytes_max(settings, root_bytes)) {
    std::abort();
  }
  return 0;
}
