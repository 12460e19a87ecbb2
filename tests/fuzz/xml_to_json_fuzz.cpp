// Any bytes as one document: the parser accepts or refuses, whatever it accepts becomes JSON that
// another parser reads, without a key twice, and with as much of it in pretty as in compact form.
//
// Differential: expat accepts the same documents, and what it finds in them gives the same JSON in
// the same order (expat_reading.h). Where the two may differ:
//   - we refuse on purpose: a DOCTYPE, what namespaces forbid (then expat refuses it, too, once it
//     looks at them, or it is a colon out of place, which expat takes), encodings of more than a
//     byte a character but UTF-8, declarations that XML 1.0 does not permit, a version 2.0, and
//     more than 131,072 different names
//   - we know encodings by more names; so expat is told which of UTF-8 and US-ASCII it is
//   - names: libxml2 goes by the fifth edition of XML 1.0, expat by the fourth, which permits fewer
//     characters beyond ASCII
//   - a declaration of the prefix "xml", which says nothing, is left out
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "common/xml/block_cost.h"
#include "common/xml/encoding.h"
#include "common/xml/xml_parser.h"
#include "common/xml/xml_prolog.h"
#include "common/xml/xml_to_json.h"
#ifdef SLUICE_EXPAT
#include "expat_reading.h"
#endif

using namespace sluice;

namespace {

[[noreturn]] void complain(const std::string& what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  std::abort();
}

void parse_strictly(const std::string& text) {
  std::vector<std::set<std::string>> keys;
  const auto parsed_whole = nlohmann::json::parse(
      text, [&keys](int /*depth*/, nlohmann::json::parse_event_t event, nlohmann::json& parsed) {
        if (event == nlohmann::json::parse_event_t::object_start) {
          keys.emplace_back();
        } else if (event == nlohmann::json::parse_event_t::object_end) {
          keys.pop_back();
        } else if (event == nlohmann::json::parse_event_t::key &&
                   !keys.back().insert(parsed.get<std::string>()).second) {
          complain("a key twice");
        }
        return true;
      });
  if (!parsed_whole.is_object()) {
    complain("an event is no object");
  }
}

// Without what makes it pretty. Comparing trees instead would recurse as deep as they are.
std::string compacted(const std::string& pretty) {
  std::string compact;
  bool in_string = false;
  for (std::size_t at = 0; at < pretty.size(); ++at) {
    const char c = pretty[at];
    if (in_string && c == '\\') {
      compact += c;
      ++at;
    } else if (c == '"') {
      in_string = !in_string;
    }
    if (in_string || (c != ' ' && c != '\n')) {
      compact += pretty[at];
    }
  }
  return compact;
}

#ifdef SLUICE_EXPAT
// nlohmann's lists look for each key in turn, and compare by recursion.
constexpr std::size_t kComparedBytesMax = 16384;
constexpr std::size_t kComparedDepthMax = 256;

constexpr const char* kOursAlone[] = {
    "a DOCTYPE, which is not accepted",
    "unsupported encoding",
    "an XML version that is not 1.0 or 1.1",
    "an XML declaration without a version",
    "a malformed XML declaration",
    "over 131072 different names",
    "not well-formed: a malformed qualified name",
    "not well-formed: a misplaced ':' in a name",
};

bool declares_xml_prefix(std::string_view document) {
  return document.find("xmlns:xml") != std::string_view::npos;
}

void compare(std::string_view document, const std::optional<XmlRejection>& refused,
             const std::string& compact) {
  if (document.size() > kComparedBytesMax) {
    return;
  }
  const EncodingKind kind = encoding_kind(read_declaration(document).encoding);
  const char* const encoding = kind == EncodingKind::utf8    ? "UTF-8"
                               : kind == EncodingKind::ascii ? "US-ASCII"
                                                             : nullptr;
  const test::ExpatReading expat(document, {encoding, false});
  if (refused) {
    const auto ours_alone =
        std::find(std::begin(kOursAlone), std::end(kOursAlone), refused->reason);
    if (expat.accepted() && ours_alone == std::end(kOursAlone) &&
        test::ExpatReading(document, {encoding, true}).accepted()) {
      complain("refused: " + refused->reason + ", and expat accepts it");
    }
    return;
  }
  const bool ascii = std::all_of(document.begin(), document.end(),
                                 [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  if (!expat.accepted()) {
    if (ascii || expat.error() != XML_ERROR_INVALID_TOKEN) {
      complain(std::string("accepted, and expat says: ") + XML_ErrorString(expat.error()));
    }
    return;
  }
  if (expat.depth() <= kComparedDepthMax && !declares_xml_prefix(document) &&
      expat.json() != nlohmann::ordered_json::parse(compact)) {
    complain("expat: " + expat.json().dump() + "\nours:  " + compact);
  }
}
#else
void compare(std::string_view /*document*/, const std::optional<XmlRejection>& /*refused*/,
             const std::string& /*compact*/) {}
#endif

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  static XmlParser parser;
  static XmlToJson converter;
  const std::string_view document(reinterpret_cast<const char*>(bytes), size);
  std::string source(document);
  source += 'x';  // where the terminator goes for a while
  EventTape tape;
  parser.begin_tape();
  const auto refused = parser.parse(source, {0, static_cast<std::uint32_t>(size), true}, tape);
  if (refused) {
    compare(document, refused, {});
    return 0;
  }
  std::string compact;
  std::string pretty;
  converter.append(tape, 0, source, {false, 0}, compact);
  converter.append(tape, 0, source, {true, 1}, pretty);
  parse_strictly(compact);
  if (compacted(pretty) != compact) {
    complain("pretty says something else: " + pretty);
  }
  compare(document, refused, compact);
  SegmentSettings settings;
  settings.format = OutputFormat::json;
  const std::uint64_t root_bytes = tape.event(0).root.length;
  if (compact.size() > output_bytes_max(settings, root_bytes)) {
    complain("more than block_cost.h says");
  }
  settings.pretty = true;
  if (pretty.size() > output_bytes_max(settings, root_bytes)) {
    complain("pretty: more than block_cost.h says");
  }
  return 0;
}
