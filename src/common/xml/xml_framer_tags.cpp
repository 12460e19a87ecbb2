// The framer's states inside start and end tags: names, attributes, values.
#include <algorithm>
#include <string_view>

#include "common/base/check.h"
#include "common/xml/byte_scan.h"
#include "common/xml/encoding.h"
#include "common/xml/name_fingerprint.h"
#include "common/xml/xml_framer.h"

namespace sluice {
namespace {

using byte_scan::find_either;
using byte_scan::find_name_end;
using name_fingerprint::add_byte;
using name_fingerprint::fingerprint;

}  // namespace

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
