// From bytes to tokens. The hot path is scan_content: it hops from '<' to the end of a name and
// leaves all else (attributes, comments, whatever a call's end cuts) to one state each.
#include <algorithm>
#include <bit>
#include <cstring>
#include <string_view>

#include "common/base/check.h"
#include "common/xml/byte_scan.h"
#include "common/xml/encoding.h"
#include "common/xml/xml_framer.h"

namespace sluice {

namespace {

using byte_scan::find;
using byte_scan::find_either;
using byte_scan::find_name_end;
using byte_scan::is_name_start;
using byte_scan::is_space;

constexpr std::size_t kDeclarationBytesMax = 1024;

// A name as 64 bits: its last 8 bytes and its length. Two equal names are equal here; different
// ones that are taken for equal only cost a broken document a less exact end.
std::uint64_t fingerprint(std::uint64_t last_bytes, std::uint64_t length) {
  return last_bytes ^ (length * 0x9E3779B97F4A7C15ULL);
}

std::uint64_t add_byte(std::uint64_t last_bytes, char c) {
  return (last_bytes >> 8) | (std::uint64_t{static_cast<unsigned char>(c)} << 56);
}

// Of a name that lies in one buffer, which begins at `base`.
std::uint64_t fingerprint_of(const char* begin, const char* end, const char* base) {
  const auto length = static_cast<std::uint64_t>(end - begin);
  std::uint64_t last = 0;
  if (std::endian::native == std::endian::little && length > 0 && end - base >= 8) {
    std::memcpy(&last, end - 8, 8);
    if (length < 8) {
      last &= ~std::uint64_t{0} << (8 * (8 - length));
    }
  } else {
    for (const char* p = std::max(begin, end - std::min<std::uint64_t>(length, 8)); p != end; ++p) {
      last = add_byte(last, *p);
    }
  }
  return fingerprint(last, length);
}

}  // namespace

const char* XmlFramer::step(const char* p, const char* end) {
  switch (state_) {
    case State::text:
      return scan_text(p, end);
    case State::probe:
      return scan_probe(p, end);
    case State::lead:
      return scan_lead(p, end);
    case State::declaration:
      return scan_declaration(p, end);
    case State::pi:
      return scan_pi(p, end);
    case State::comment:
      return scan_comment(p, end);
    case State::cdata:
      return scan_cdata(p, end);
    case State::search:
      return scan_search(p, end);
    case State::doctype:
      return scan_doctype(p, end);
    case State::start_name:
      return scan_start_name(p, end);
    case State::tag:
      return scan_tag(p, end);
    case State::value:
    case State::doctype_quote:
      return scan_quoted(p, end);
    case State::end_name:
      return scan_end_name(p, end);
    case State::end_tail:
      return scan_end_tail(p, end);
    case State::sample:
      return end;
  }
  return end;
}

// ---- text ---------------------------------------------------------------------------------------

const char* XmlFramer::scan_text(const char* p, const char* end) {
  switch (mode_) {
    case Mode::top:
      return scan_top(p, end);
    case Mode::document:
      return root_begun_ ? scan_content(p, end) : scan_prolog(p, end);
    case Mode::run:
      return scan_run(p, end);
    case Mode::aside:
      break;
  }
  CHECK_THAT(false);
  return end;
}

const char* XmlFramer::scan_top(const char* p, const char* end) {
  while (p != end && (is_space(*p) || *p == '\0')) {
    ++p;
  }
  if (p == end) {
    return end;
  }
  begin_ = at(p);
  if (*p == '<') {
    mode_ = Mode::aside;
    lead_begins(p);
    return p + 1;
  }
  if (*p == '\xEF' || *p == '\xFE' || *p == '\xFF' || *p == '\x4C') {
    mode_ = Mode::aside;
    state_ = State::probe;
    lead_[0] = *p;
    lead_length_ = 1;
    return p + 1;
  }
  start_run(begin_, CutReason::not_xml_here);
  return p;
}

// A byte order mark: UTF-8's is a separator, UTF-16's and EBCDIC's first `<?xm` begin what we
// cannot frame.
const char* XmlFramer::scan_probe(const char* p, const char* /*end*/) {
  lead_[lead_length_++] = *p;
  const std::string_view read(lead_.data(), lead_length_);
  if (read == "\xEF\xBB\xBF") {
    mode_ = Mode::top;
    state_ = State::text;
    return p + 1;
  }
  if (read == "\xFF\xFE" || read == "\xFE\xFF" || read == "\x4C\x6F\xA7\x94") {
    any_markup_ = true;
    start_run(begin_, CutReason::unsupported_encoding);
    return p + 1;
  }
  if (std::string_view("\xEF\xBB").starts_with(read) ||
      std::string_view("\x4C\x6F\xA7").starts_with(read)) {
    return p + 1;
  }
  start_run(begin_, CutReason::not_xml_here);
  return p;
}

const char* XmlFramer::scan_prolog(const char* p, const char* end) {
  while (p != end && is_space(*p)) {
    ++p;
  }
  if (p == end) {
    return end;
  }
  if (*p == '<') {
    lead_begins(p);
    return p + 1;
  }
  start_run(begin_, CutReason::not_xml_here);
  return p;
}

const char* XmlFramer::scan_run(const char* p, const char* end) {
  p = find(p, end, '<');
  if (p == end) {
    return end;
  }
  lead_begins(p);
  return p + 1;
}

const char* XmlFramer::scan_content(const char* p, const char* end) {
  for (;;) {
    p = find(p, end, '<');
    if (end - p < 3) {
      if (p == end) {
        return end;
      }
      lead_begins(p);
      return p + 1;
    }
    const bool end_tag = p[1] == '/';
    if (!end_tag && !is_name_start(p[1])) {
      lead_begins(p);
      return p + 1;
    }
    const char* const name = p + (end_tag ? 2 : 1);
    const char* const name_end = find_name_end(name, end);
    if (name_end == end) {
      lead_begins(p);  // the name may go on behind this call's end
      return p + 1;
    }
    const std::uint64_t print = fingerprint_of(name, name_end, base_);
    if (end_tag) {
      if (*name_end != '>') {
        name_ = print;
        name_bytes_ = 0;
        state_ = State::end_tail;
        return name_end;
      }
      p = name_end + 1;
      if (close_element(print)) {
        close_document(at(p));
        return p;
      }
      continue;
    }
    if (static_cast<std::uint64_t>(name_end - name) > limits_.name_bytes_max) {
      doom(CutReason::name_too_long);
    }
    if (*name_end == '>') {
      open_element(print, 0);
      p = name_end + 1;
      continue;
    }
    token_begin_ = at(p);
    tag_begins(print);
    return name_end;
  }
}

// ---- what follows '<' ---------------------------------------------------------------------------

void XmlFramer::lead_begins(const char* p) {
  token_begin_ = at(p);
  return_to_ = state_;
  lead_[0] = '<';
  lead_length_ = 1;
  state_ = State::lead;
}

const char* XmlFramer::scan_lead(const char* p, const char* end) {
  while (p != end && state_ == State::lead) {
    if (!lead_continues(*p)) {
      return p;
    }
    ++p;
  }
  return p;
}

// True when `c` was taken. What is read again otherwise can never be the second of two readings
// that matter: no lead holds a '<' but its first.
bool XmlFramer::lead_continues(char c) {
  if (lead_length_ > 1) {
    return lead_[1] == '?' ? lead_question(c) : lead_exclamation(c);
  }
  if (c == '?' || (c == '!' && (return_to_ == State::text || return_to_ == State::doctype))) {
    lead_[lead_length_++] = c;
    return true;
  }
  if (return_to_ != State::text) {
    state_ = return_to_;
    return false;
  }
  return lead_first(c);
}

bool XmlFramer::lead_first(char c) {
  if (is_name_start(c)) {
    name_ = 0;
    name_bytes_ = 0;
    state_ = State::start_name;
    return false;
  }
  if (c == '/' && mode_ == Mode::document && root_begun_) {
    name_ = 0;
    name_bytes_ = 0;
    state_ = State::end_name;
    return true;
  }
  if (mode_ == Mode::aside && (c == '/' || c == '\0')) {
    any_markup_ = true;
    start_run(begin_, c == '/' ? CutReason::bad_markup : CutReason::unsupported_encoding);
    return true;
  }
  lead_is_no_markup();
  return false;
}

bool XmlFramer::lead_question(char c) {
  constexpr std::string_view kDeclaration = "<?xml";
  if (lead_length_ < kDeclaration.size() && c == kDeclaration[lead_length_]) {
    lead_[lead_length_++] = c;
    return true;
  }
  const bool whole = lead_length_ == kDeclaration.size();
  if (whole && (is_space(c) || (c == '?' && mode_ == Mode::aside && return_to_ == State::text))) {
    declaration_begins();
    return false;
  }
  if (return_to_ == State::pi) {
    tail_ = lead_length_ == 2 ? 1 : 0;  // the '?' may belong to the end of the outer one
    state_ = State::pi;
  } else if (return_to_ == State::doctype || (return_to_ == State::text && mode_ != Mode::run)) {
    any_markup_ = true;
    only_declared_ = false;
    construct_return_to_ = return_to_;
    tail_ = 0;
    state_ = State::pi;
  } else {
    state_ = return_to_;
  }
  return false;
}

bool XmlFramer::lead_exclamation(char c) {
  for (const std::string_view known : {"<!--", "<![CDATA[", "<!DOCTYPE"}) {
    const std::string_view read(lead_.data(), lead_length_);
    if (!known.starts_with(read) || known[lead_length_] != c) {
      continue;
    }
    lead_[lead_length_++] = c;
    if (lead_length_ < known.size()) {
      return true;
    }
    switch (known[2]) {
      case '-':
        comment_begins();
        return true;
      case '[':
        cdata_begins();
        return true;
      default:
        doctype_begins();
        return true;
    }
  }
  lead_is_no_markup();
  return false;
}

// Inside a document the parser will say what is wrong with it; outside, none can begin so.
void XmlFramer::lead_is_no_markup() {
  if (return_to_ != State::text || mode_ == Mode::run || (mode_ == Mode::document && root_begun_)) {
    state_ = return_to_;
    return;
  }
  start_run(begin_, CutReason::bad_markup);
}

// ---- declarations, PIs, comments, CDATA ---------------------------------------------------------

void XmlFramer::declaration_begins() {
  switch (mode_) {
    case Mode::run:
      resume_at(token_begin_);
      break;
    case Mode::document:
      // Two in a row are one document, which the parser refuses.
      if (root_begun_ || !only_declared_ || return_to_ != State::text) {
        cut_document(token_begin_);
      }
      break;
    case Mode::aside:
    case Mode::top:
      emit_malformed(begin_, token_begin_, CutReason::unterminated);
      begin_document(token_begin_);
      break;
  }
  declaration_.clear();
  tail_ = 0;
  state_ = State::declaration;
}

const char* XmlFramer::scan_declaration(const char* p, const char* end) {
  while (p != end) {
    if (tail_ == 1 && *p == '>') {
      declaration_ends();
      return p + 1;
    }
    tail_ = 0;
    const char* const stop = find_either(p, end, '?', '<');
    declaration_.append(p, std::min<std::size_t>(stop - p, kDeclarationBytesMax + 1));
    if (declaration_.size() > kDeclarationBytesMax || (stop != end && *stop == '<')) {
      start_run(begin_, CutReason::bad_markup);
      return stop;
    }
    p = stop;
    if (p != end) {
      declaration_.push_back('?');
      tail_ = 1;
      ++p;
    }
  }
  return p;
}

void XmlFramer::declaration_ends() {
  if (encoding_kind(declaration_value(declaration_, "encoding")) == EncodingKind::unsupported) {
    doom(CutReason::unsupported_encoding);
  }
  only_declared_ = true;
  state_ = State::text;
}

const char* XmlFramer::scan_pi(const char* p, const char* end) {
  while (p != end) {
    if (tail_ == 1 && *p == '>') {
      construct_ends();
      return p + 1;
    }
    if (tail_ == 2 && *p == '?') {  // "<?": a declaration would end this document
      return_to_ = State::pi;
      lead_[0] = '<';
      lead_[1] = '?';
      lead_length_ = 2;
      state_ = State::lead;
      return p + 1;
    }
    p = find_either(p, end, '?', '<');
    if (p == end) {
      tail_ = 0;
      return end;
    }
    tail_ = *p == '?' ? 1 : 2;
    token_begin_ = at(p);
    ++p;
  }
  return p;
}

void XmlFramer::construct_ends() {
  state_ = construct_return_to_;
  if (mode_ == Mode::aside) {
    mode_ = Mode::top;
  }
}

void XmlFramer::comment_begins() {
  any_markup_ = true;
  only_declared_ = false;
  if (mode_ == Mode::run && token_begin_ >= blind_from_) {
    state_ = State::text;
    return;
  }
  construct_begin_ = token_begin_;
  construct_return_to_ = return_to_;
  flush_run(construct_begin_);
  state_ = State::comment;
  tail_ = 0;
  last_bad_ = 0;
  skip_until_ = 0;
  skip_closes_ = false;
  const std::uint64_t text = construct_begin_ + 4;
  if (construct_begin_ < comment_known_.begin || text > comment_known_.end) {
    return;
  }
  if (!comment_known_.closed || text + 3 <= comment_known_.end) {
    skip_until_ = comment_known_.end;
    skip_closes_ = comment_known_.closed;
    last_bad_ = comment_known_.last_bad;
    // Dashes of "<!--" itself are no part of what was matched.
    tail_ = static_cast<std::uint8_t>(
        std::min<std::uint64_t>(comment_known_.tail, comment_known_.end - text));
  }
}

const char* XmlFramer::scan_comment(const char* p, const char* end) {
  if (at(p) < skip_until_) {
    const auto room = static_cast<std::uint64_t>(end - p);
    p += std::min(room, skip_until_ - at(p));
    if (at(p) == skip_until_ && skip_closes_) {
      comment_ends(at(p));
      return p;
    }
  }
  while (p != end) {
    if (tail_ == 0) {
      p = find(p, end, '-');
      if (p == end) {
        return end;
      }
      tail_ = 1;
    } else if (tail_ == 1) {
      tail_ = *p == '-' ? 2 : 0;
    } else if (*p == '>') {
      comment_ends(at(p) + 1);
      return p + 1;
    } else {
      last_bad_ = at(p);
      tail_ = *p == '-' ? 2 : 0;
    }
    ++p;
  }
  return p;
}

// A comment with "--" in it is none: perhaps it was never closed, and its end is a neighbour's.
// Then a declaration in it begins that neighbour.
void XmlFramer::comment_ends(std::uint64_t end) {
  if (last_bad_ < construct_begin_ + 6) {
    construct_ends();
    return;
  }
  comment_known_ = {construct_begin_, end, last_bad_, 0, true};
  search_end_ = end;
  state_ = State::search;
  rewind_to_ = construct_begin_ + 4;
}

const char* XmlFramer::scan_search(const char* p, const char* end) {
  if (at(p) < search_end_) {
    const auto room = static_cast<std::uint64_t>(end - p);
    const char* const stop = p + std::min(room, search_end_ - at(p));
    p = find(p, stop, '<');
    if (p != stop) {
      lead_begins(p);
      return p + 1;
    }
  }
  if (at(p) >= search_end_) {
    construct_ends();
  }
  return p;
}

void XmlFramer::cdata_begins() {
  if (mode_ == Mode::aside || (mode_ == Mode::document && !root_begun_)) {
    any_markup_ = true;
    start_run(begin_, CutReason::bad_markup);
    return;
  }
  if (mode_ == Mode::run && token_begin_ >= blind_from_) {
    state_ = State::text;
    return;
  }
  construct_begin_ = token_begin_;
  construct_return_to_ = State::text;
  flush_run(construct_begin_);
  state_ = State::cdata;
  tail_ = 0;
  last_bad_ = 0;
  skip_until_ = 0;
  const std::uint64_t text = construct_begin_ + 9;
  if (construct_begin_ >= cdata_known_.begin && text <= cdata_known_.end) {
    skip_until_ = cdata_known_.end;
    tail_ = static_cast<std::uint8_t>(
        std::min<std::uint64_t>(cdata_known_.tail, cdata_known_.end - text));
  }
}

const char* XmlFramer::scan_cdata(const char* p, const char* end) {
  if (at(p) < skip_until_) {
    const auto room = static_cast<std::uint64_t>(end - p);
    p += std::min(room, skip_until_ - at(p));
  }
  while (p != end) {
    if (tail_ == 0) {
      p = find(p, end, ']');
      if (p == end) {
        return end;
      }
      tail_ = 1;
    } else if (*p == ']') {
      tail_ = 2;
    } else if (tail_ == 2 && *p == '>') {
      construct_ends();
      return p + 1;
    } else {
      tail_ = 0;
    }
    ++p;
  }
  return p;
}

// ---- DOCTYPE ------------------------------------------------------------------------------------

void XmlFramer::doctype_begins() {
  if (mode_ == Mode::run || return_to_ != State::text || (mode_ == Mode::document && root_begun_)) {
    lead_is_no_markup();
    return;
  }
  if (mode_ == Mode::aside) {
    begin_document(token_begin_);
  }
  only_declared_ = false;
  subset_ = false;
  state_ = State::doctype;
}

const char* XmlFramer::scan_doctype(const char* p, const char* end) {
  for (; p != end; ++p) {
    switch (*p) {
      case '[':
        subset_ = true;
        break;
      case ']':
        subset_ = false;
        break;
      case '"':
      case '\'':
        quote_ = *p;
        state_ = State::doctype_quote;
        return p + 1;
      case '<':
        lead_begins(p);
        return p + 1;
      case '>':
        if (!subset_) {
          state_ = State::text;
          return p + 1;
        }
        break;
      default:
        break;
    }
  }
  return p;
}

// ---- tags ---------------------------------------------------------------------------------------

void XmlFramer::add_to_name(const char* begin, const char* end) {
  name_bytes_ += static_cast<std::uint64_t>(end - begin);
  for (const char* p = end - std::min<std::ptrdiff_t>(end - begin, 8); p != end; ++p) {
    name_ = add_byte(name_, *p);
  }
}

const char* XmlFramer::scan_start_name(const char* p, const char* end) {
  const char* const name_end = find_name_end(p, end);
  add_to_name(p, name_end);
  if (mode_ == Mode::run && name_bytes_ > limits_.name_bytes_max) {
    state_ = State::text;
  } else if (name_end != end) {
    start_name_ends();
  }
  return name_end;
}

void XmlFramer::start_name_ends() {
  const std::uint64_t name = fingerprint(name_, name_bytes_);
  if (mode_ == Mode::run) {
    if (!resumes_at_root(name)) {
      state_ = State::text;
      return;
    }
    resume_at(token_begin_);
  } else if (mode_ == Mode::aside) {
    begin_document(token_begin_);
  }
  if (!root_begun_) {
    root_begins(name);
  }
  if (name_bytes_ > limits_.name_bytes_max) {
    doom(CutReason::name_too_long);
  }
  tag_begins(name);
}

void XmlFramer::tag_begins(std::uint64_t name) {
  name_ = name;
  attributes_ = 0;
  tag_namespaces_ = 0;
  slash_ = false;
  attribute_open_ = false;
  attribute_name_bytes_ = 0;
  state_ = State::tag;
}

const char* XmlFramer::scan_tag(const char* p, const char* end) {
  while (p != end) {
    switch (*p) {
      case '>':
        tag_ends(at(p) + 1, slash_);
        return p + 1;
      case '<':  // the tag was never ended; the parser will say so
        tag_ends(at(p), false);
        return p;
      case '"':
      case '\'':
        quote_ = *p;
        attribute_begins(at(p) + 1);
        return p + 1;
      case '/':
        slash_ = true;
        attribute_open_ = false;
        ++p;
        break;
      default: {
        slash_ = false;
        if (byte_scan::ends_name(*p)) {
          attribute_open_ = false;
          ++p;
          break;
        }
        const char* const name_end = find_name_end(p, end);
        add_to_attribute_name(p, name_end);
        p = name_end;
      }
    }
  }
  return p;
}

void XmlFramer::add_to_attribute_name(const char* begin, const char* end) {
  if (!attribute_open_) {
    attribute_open_ = true;
    attribute_head_ = 0;
    attribute_name_bytes_ = 0;
  }
  for (const char* p = begin; p != end && attribute_name_bytes_ + (p - begin) < 6; ++p) {
    attribute_head_ = (attribute_head_ << 8) | static_cast<unsigned char>(*p);
  }
  attribute_name_bytes_ += static_cast<std::uint64_t>(end - begin);
  if (attribute_name_bytes_ > limits_.name_bytes_max) {
    doom(CutReason::name_too_long);
  }
}

void XmlFramer::attribute_begins(std::uint64_t value_begin) {
  constexpr std::uint64_t kXmlns = 0x786D6C6E73;  // "xmlns"
  if (++attributes_ > limits_.attributes_max) {
    doom(CutReason::too_many_attributes);
  }
  if ((attribute_name_bytes_ == 5 && attribute_head_ == kXmlns) ||
      (attribute_name_bytes_ > 5 && attribute_head_ == ((kXmlns << 8) | ':'))) {
    ++tag_namespaces_;
  }
  attribute_open_ = false;
  attribute_name_bytes_ = 0;
  slash_ = false;
  value_begin_ = value_begin;
  state_ = State::value;
}

const char* XmlFramer::scan_quoted(const char* p, const char* end) {
  const char* const stop = find_either(p, end, quote_, '<');
  if (state_ == State::value && at(stop) - value_begin_ > limits_.value_bytes_max) {
    doom(CutReason::value_too_long);
  }
  if (stop == end) {
    return end;
  }
  if (*stop == quote_) {
    state_ = state_ == State::value ? State::tag : State::doctype;
  } else {
    lead_begins(stop);
  }
  return stop + 1;
}

void XmlFramer::tag_ends(std::uint64_t end, bool self_closing) {
  state_ = State::text;
  if (!self_closing) {
    open_element(name_, tag_namespaces_);
    return;
  }
  if (namespaces_ + tag_namespaces_ > limits_.namespaces_max) {
    doom(CutReason::too_many_namespaces);
  }
  if (levels_.size() == limits_.depth_max) {
    doom(CutReason::too_deep);
  }
  if (levels_.empty()) {
    close_document(end);
  }
}

const char* XmlFramer::scan_end_name(const char* p, const char* end) {
  const char* const name_end = find_name_end(p, end);
  add_to_name(p, name_end);
  if (name_end != end) {
    name_ = fingerprint(name_, name_bytes_);
    state_ = State::end_tail;
  }
  return name_end;
}

const char* XmlFramer::scan_end_tail(const char* p, const char* end) {
  const char* const stop = find_either(p, end, '>', '<');
  if (stop == end) {
    return end;
  }
  const char* const next = *stop == '>' ? stop + 1 : stop;
  state_ = State::text;
  if (close_element(name_)) {
    close_document(at(next));
  }
  return next;
}

}  // namespace sluice
