// From bytes to tokens. The hot path is scan_content: it hops from '<' to the end of a name and
// leaves all else to one state each: attributes and whatever a call's end cuts in
// xml_framer_tags.cpp, comments and their like in xml_framer_sections.cpp.
#include <algorithm>
#include <string_view>

#include "common/base/check.h"
#include "common/xml/byte_scan.h"
#include "common/xml/encoding.h"
#include "common/xml/name_fingerprint.h"
#include "common/xml/xml_framer.h"

namespace sluice {
namespace {

using byte_scan::find;
using byte_scan::find_name_end;
using byte_scan::is_name_start;
using byte_scan::is_space;
using name_fingerprint::fingerprint_of;

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

}  // namespace sluice
