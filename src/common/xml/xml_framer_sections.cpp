// The framer's states inside declarations, PIs, comments, CDATA and DOCTYPE.
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
using byte_scan::find_either;

constexpr std::size_t kDeclarationBytesMax = 1024;

}  // namespace

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

}  // namespace sluice
