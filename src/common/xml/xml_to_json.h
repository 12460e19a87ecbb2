// XmlToJson: one event of a tape as JSON, by xmltodict's rules but for the empty element.
//
//   <a>text</a>          "a": "text"       text is stripped of XML's white space at both ends
//   <a/>, <a> </a>       "a": ""
//   <a><b/><c>1</c></a>  "a": {"b": "", "c": "1"}
//   <a/><b/><a>1</a>     "a": ["", "1"], "b": ""    in the first one's place
//   <a x="1">t</a>       "a": {"@x": "1", "#text": "t"}   namespace declarations first
//   t<b/>u               "b": "", "#text": "tu"
//
// Names stay as written, prefixes included; every value is a string. The event itself: an EVENT is
// its object, {…}; any other root gives {"<its name>": …}. No key occurs twice in an object: names
// hold no '@' or '#' at their start. Neither recursion nor a DOM; memory that it keeps is bounded
// by the largest event. One thread at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/xml/event_tape.h"

namespace sluice {

struct JsonStyle {
  // Two spaces a level, but never more than kIndentLevelsMax levels: deeper ones are indented
  // alike, so that the output is bounded by a multiple of the input.
  bool pretty = false;
  // Pretty: of the event itself.
  unsigned indent_levels = 0;
};
inline constexpr unsigned kIndentLevelsMax = 8;

class XmlToJson {
 public:
  // Appends. `source` is what the tape was built over.
  void append(const EventTape& tape, std::size_t event, std::string_view source,
              const JsonStyle& style, std::string& out);

 private:
  static constexpr std::uint32_t kNone = UINT32_MAX;
  struct Node {
    std::uint32_t token = 0;  // of its opening
    std::uint32_t name = 0;
    std::uint32_t first_child = kNone;
    std::uint32_t last_child = kNone;
    std::uint32_t next_sibling = kNone;  // of any name, later: the next of another name
    std::uint32_t next_same = kNone;     // sibling of the same name
    std::uint32_t first_text = kNone;
    std::uint32_t last_text = kNone;
    bool has_attributes = false;
  };
  struct Text {
    std::uint32_t token = 0;
    std::uint32_t next = kNone;
  };
  struct Group {              // of siblings of one name
    std::uint64_t owner = 0;  // the object, among all of all events
    std::uint32_t last = kNone;
  };
  struct Frame {
    std::uint32_t node = 0;     // whose object is open
    std::uint32_t child = 0;    // the next one to write
    std::uint32_t element = 0;  // the next of the array that is open, or none
    bool in_array = false;
    bool written = false;  // something stands in the object
  };

  void build(const EventTape& tape, const EventTape::Event& event);
  void group_children(std::uint32_t parent);
  std::string_view text_of(const Node& node);
  void open_object(std::uint32_t node);
  void step();
  void close_object(Frame frame);
  // True when that opened an object.
  bool value(std::uint32_t node);
  void key(std::string_view mark, std::string_view name, bool& written);
  void line();
  void string(std::string_view text);

  const EventTape* tape_ = nullptr;
  std::string_view source_;
  std::string* out_ = nullptr;
  JsonStyle style_;
  unsigned levels_ = 0;
  std::uint32_t token_end_ = 0;
  std::vector<Node> nodes_;
  std::vector<Text> texts_;
  std::vector<Group> groups_;  // by name id
  std::uint64_t objects_ = 0;  // ever opened
  std::vector<std::uint32_t> open_;
  std::vector<Frame> frames_;
  std::string joined_;
};

}  // namespace sluice
