#include "common/xml/xml_to_json.h"

#include <algorithm>
#include <bit>

#include "common/base/check.h"
#include "common/xml/byte_scan.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace sluice {

namespace {

using TokenKind = EventTape::TokenKind;

// A large event's room is given back once it is done.
constexpr std::size_t kNodesKept = 4096;

bool needs_escape(char c) { return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\'; }

std::size_t find_escape(std::string_view text, std::size_t at) {
#ifdef __SSE2__
  const __m128i control = _mm_set1_epi8(0x1F);
  const __m128i quote = _mm_set1_epi8('"');
  const __m128i backslash = _mm_set1_epi8('\\');
  for (; text.size() - at >= 16; at += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data() + at));
    const __m128i hit =
        _mm_or_si128(_mm_cmpeq_epi8(_mm_min_epu8(bytes, control), bytes),
                     _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash)));
    const int mask = _mm_movemask_epi8(hit);
    if (mask != 0) {
      return at + static_cast<std::size_t>(std::countr_zero(static_cast<unsigned>(mask)));
    }
  }
#endif
  while (at < text.size() && !needs_escape(text[at])) {
    ++at;
  }
  return at;
}

// RFC 8259, 7. The parser lets no control character pass but tab, LF and CR; others are escaped
// all the same.
void append_escaped(char c, std::string& out) {
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default: {
      constexpr std::string_view kHex = "0123456789abcdef";
      out += "\\u00";
      out += kHex[static_cast<unsigned char>(c) >> 4];
      out += kHex[static_cast<unsigned char>(c) & 15];
    }
  }
}

std::string_view strip(std::string_view text) {
  while (!text.empty() && byte_scan::is_space(text.front())) {
    text.remove_prefix(1);
  }
  while (!text.empty() && byte_scan::is_space(text.back())) {
    text.remove_suffix(1);
  }
  return text;
}

}  // namespace

void XmlToJson::string(std::string_view text) {
  *out_ += '"';
  for (std::size_t at = 0;;) {
    const std::size_t stop = find_escape(text, at);
    out_->append(text, at, stop - at);
    if (stop == text.size()) {
      break;
    }
    append_escaped(text[stop], *out_);
    at = stop + 1;
  }
  *out_ += '"';
}

void XmlToJson::line() {
  if (style_.pretty) {
    static constexpr std::string_view kSpaces = "                ";
    static_assert(kSpaces.size() == std::size_t{2} * kIndentLevelsMax);
    *out_ += '\n';
    out_->append(kSpaces, 0, std::size_t{2} * std::min(levels_, kIndentLevelsMax));
  }
}

void XmlToJson::key(std::string_view mark, std::string_view name, bool& written) {
  if (written) {
    *out_ += ',';
  }
  written = true;
  line();
  *out_ += '"';
  *out_ += mark;
  *out_ += name;  // a name holds nothing that JSON escapes
  *out_ += style_.pretty ? "\": " : "\":";
}

// The element tree of the event: siblings of one name chained behind the first.
void XmlToJson::build(const EventTape& tape, const EventTape::Event& event) {
  nodes_.clear();
  texts_.clear();
  open_.clear();
  for (std::uint32_t at = event.first_token; at < event.end_token; ++at) {
    const EventTape::Token token = tape.token(at);
    switch (token.kind()) {
      case TokenKind::open:
      case TokenKind::empty: {
        const auto node = static_cast<std::uint32_t>(nodes_.size());
        nodes_.emplace_back();
        nodes_[node].token = at;
        nodes_[node].name = token.value;
        if (!open_.empty()) {
          Node& parent = nodes_[open_.back()];
          (parent.last_child == kNone ? parent.first_child
                                      : nodes_[parent.last_child].next_sibling) = node;
          parent.last_child = node;
        }
        if (token.kind() == TokenKind::open) {
          open_.push_back(node);
        }
        break;
      }
      case TokenKind::attribute:
        nodes_[open_.back()].has_attributes = true;
        ++at;  // its value
        break;
      case TokenKind::text: {
        const auto text = static_cast<std::uint32_t>(texts_.size());
        texts_.push_back({at, kNone});
        Node& node = nodes_[open_.back()];
        (node.last_text == kNone ? node.first_text : texts_[node.last_text].next) = text;
        node.last_text = text;
        break;
      }
      case TokenKind::close:
        open_.pop_back();
        break;
    }
  }
}

// Leaves among the siblings only the first of each name; the others hang on it.
void XmlToJson::group_children(std::uint32_t parent) {
  ++objects_;
  std::uint32_t* link = &nodes_[parent].first_child;
  while (*link != kNone) {
    Node& child = nodes_[*link];
    if (child.name >= groups_.size()) {
      groups_.resize(child.name + 1);
    }
    Group& group = groups_[child.name];
    if (group.owner != objects_) {
      group = {objects_, *link};
      link = &child.next_sibling;
      continue;
    }
    nodes_[group.last].next_same = *link;
    group.last = *link;
    *link = child.next_sibling;
  }
}

std::string_view XmlToJson::text_of(const Node& node) {
  if (node.first_text == kNone) {
    return {};
  }
  const Text& first = texts_[node.first_text];
  const std::string_view text = tape_->text(tape_->token(first.token).span(), source_);
  if (first.next == kNone) {
    return strip(text);
  }
  joined_ = text;
  for (std::uint32_t at = first.next; at != kNone; at = texts_[at].next) {
    joined_ += tape_->text(tape_->token(texts_[at].token).span(), source_);
  }
  return strip(joined_);
}

bool XmlToJson::value(std::uint32_t node) {
  if (nodes_[node].has_attributes || nodes_[node].first_child != kNone) {
    open_object(node);
    return true;
  }
  string(text_of(nodes_[node]));
  return false;
}

void XmlToJson::open_object(std::uint32_t node) {
  *out_ += '{';
  ++levels_;
  group_children(node);
  Frame frame{node, nodes_[node].first_child, kNone, false, false};
  if (nodes_[node].has_attributes) {
    std::uint32_t at = nodes_[node].token + 1;
    for (; at < token_end_ && tape_->token(at).kind() == TokenKind::attribute; at += 2) {
      key("@", tape_->name(tape_->token(at).value), frame.written);
      string(tape_->text(tape_->token(at + 1).span(), source_));
    }
  }
  frames_.push_back(frame);
}

void XmlToJson::close_object(Frame frame) {
  const std::string_view text = text_of(nodes_[frame.node]);
  if (!text.empty()) {
    key("#text", "", frame.written);
    string(text);
  }
  --levels_;
  if (frame.written) {
    line();
  }
  *out_ += '}';
}

// One value of the innermost open object, or its end.
void XmlToJson::step() {
  Frame& frame = frames_.back();
  std::uint32_t node = frame.element;
  if (frame.in_array && node == kNone) {
    frame.in_array = false;
    --levels_;
    line();
    *out_ += ']';
    return;
  }
  if (frame.in_array) {
    *out_ += ',';
    line();
    frame.element = nodes_[node].next_same;
    value(node);  // may add a frame: `frame` is not used any more
    return;
  }
  if (frame.child == kNone) {
    const Frame done = frame;
    frames_.pop_back();
    close_object(done);
    return;
  }
  node = frame.child;
  frame.child = nodes_[node].next_sibling;
  key("", tape_->name(nodes_[node].name), frame.written);
  if (nodes_[node].next_same != kNone) {
    *out_ += '[';
    ++levels_;
    line();
    frame.in_array = true;
    frame.element = nodes_[node].next_same;
  }
  value(node);
}

void XmlToJson::append(const EventTape& tape, std::size_t event, std::string_view source,
                       const JsonStyle& style, std::string& out) {
  tape_ = &tape;
  source_ = source;
  style_ = style;
  out_ = &out;
  levels_ = style.indent_levels;
  const EventTape::Event tokens = tape.event(event);
  CHECK_THAT(tokens.first_token < tokens.end_token);
  token_end_ = tokens.end_token;
  build(tape, tokens);
  frames_.clear();
  const std::string_view root = tape.name(nodes_[0].name);
  if (style.pretty) {
    out.append(std::size_t{2} * std::min(levels_, kIndentLevelsMax), ' ');
  }
  bool wrapped = false;
  if (root == "EVENT") {
    open_object(0);
  } else {
    out += '{';
    ++levels_;
    key("", root, wrapped);
    value(0);
  }
  while (!frames_.empty()) {
    step();
  }
  if (wrapped) {
    --levels_;
    line();
    out += '}';
  }
  if (nodes_.capacity() > kNodesKept) {
    nodes_ = {};
    texts_ = {};
  }
  if (groups_.size() > kNodesKept) {
    groups_ = {};
  }
}

}  // namespace sluice
