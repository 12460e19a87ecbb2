// What the framer's findings mean: documents, runs, cuts. The tokens are in xml_framer_tokens.cpp.
#include "common/xml/xml_framer.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"

namespace sluice {

namespace {

// An idle connection keeps no more levels than this.
constexpr std::size_t kIdleLevelsMax = 16;

}  // namespace

XmlFramer::XmlFramer(const FramerLimits& limits) : limits_(limits) {
  CHECK_THAT(limits_.event_bytes_max > 0 && limits_.event_bytes_max < (std::uint64_t{1} << 31));
  CHECK_THAT(limits_.malformed_piece_bytes_max > 0);
}

void XmlFramer::scan(std::span<const std::byte> bytes, std::vector<Cut>& out) {
  out_ = &out;
  base_ = reinterpret_cast<const char*>(bytes.data());
  base_position_ = position_;
  const char* p = base_;
  const char* const bytes_end = base_ + bytes.size();
  while (p != bytes_end) {
    const std::uint64_t limit = scan_limit();
    if (at(p) >= limit) {
      position_ = at(p);
      fail(false);
    } else {
      const auto room = static_cast<std::uint64_t>(bytes_end - p);
      p = step(p, limit - at(p) < room ? p + (limit - at(p)) : bytes_end);
    }
    if (rewind_to_ != kNever) {
      if (rewind_to_ < base_position_) {
        position_ = std::exchange(rewind_to_, kNever);
        return;
      }
      p = base_ + (std::exchange(rewind_to_, kNever) - base_position_);
    }
  }
  position_ = at(p);
  flush_run(known_end());
}

bool XmlFramer::finish(std::vector<Cut>& out) {
  out_ = &out;
  if (mode_ == Mode::top) {
    return true;
  }
  if (mode_ != Mode::run || state_ == State::comment || state_ == State::cdata) {
    fail(true);
    if (rewind_to_ != kNever) {
      position_ = std::exchange(rewind_to_, kNever);
      return false;
    }
  }
  end_run(position_, reason_);
  mode_ = Mode::top;
  state_ = State::text;
  return true;
}

// Where what is being read becomes too long to wait for its end.
std::uint64_t XmlFramer::scan_limit() const {
  switch (mode_) {
    case Mode::aside:
    case Mode::document:
      return begin_ + limits_.event_bytes_max;
    case Mode::run:
      if (state_ == State::comment || state_ == State::cdata) {
        return construct_begin_ + limits_.event_bytes_max;
      }
      return kNever;
    case Mode::top:
      return kNever;
  }
  return kNever;
}

// Bytes before it belong to the run for sure.
std::uint64_t XmlFramer::known_end() const {
  switch (state_) {
    case State::lead:
      return return_to_ == State::search ? construct_begin_ : token_begin_;
    case State::start_name:
      return token_begin_;
    case State::comment:
    case State::cdata:
    case State::search:
      return construct_begin_;
    default:
      return position_;
  }
}

void XmlFramer::begin_document(std::uint64_t at) {
  mode_ = Mode::document;
  begin_ = at;
  levels_.clear();
  levels_over_ = 0;
  namespaces_ = 0;
  doomed_ = CutReason::none;
  root_begun_ = false;
  only_declared_ = false;
  any_markup_ = true;
}

void XmlFramer::close_document(std::uint64_t end) {
  if (doomed_ == CutReason::none) {
    out_->push_back({begin_, end - begin_, PieceKind::event, CutReason::none, false, false});
  } else {
    emit_malformed(begin_, end, doomed_);
  }
  mode_ = Mode::top;
  state_ = State::text;
  levels_.clear();
  if (levels_.capacity() > kIdleLevelsMax) {
    levels_.shrink_to_fit();
  }
}

// A declaration where none can be: the document before it never ended.
void XmlFramer::cut_document(std::uint64_t at) {
  emit_malformed(begin_, at, doomed_ == CutReason::none ? CutReason::unterminated : doomed_);
  begin_document(at);
}

void XmlFramer::emit_malformed(std::uint64_t begin, std::uint64_t end, CutReason reason) {
  while (begin < end) {
    const std::uint64_t length =
        std::min<std::uint64_t>(end - begin, limits_.malformed_piece_bytes_max);
    out_->push_back({begin, length, PieceKind::malformed, reason, begin + length < end, false});
    begin += length;
  }
}

void XmlFramer::refuse(std::uint64_t begin, std::uint64_t end) {
  if (begin == end) {
    return;
  }
  if (!out_->empty() && out_->back().refused && out_->back().begin + out_->back().length == begin) {
    out_->back().length += end - begin;
    return;
  }
  out_->push_back({begin, end - begin, PieceKind::malformed, reason_, false, true});
}

void XmlFramer::start_run(std::uint64_t begin, CutReason reason) {
  const bool not_xml = !any_markup_;
  mode_ = Mode::run;
  begin_ = begin;
  state_ = not_xml ? State::sample : State::text;
  reason_ = not_xml ? CutReason::not_xml_stream : reason;
  sample_bytes_ = not_xml ? limits_.not_xml_sample_bytes : 0;
  refusing_ = false;
  blind_from_ = kNever;
  rescan_end_ = 0;
  document_failed_at_ = 0;
}

// Gives away what of the run is certain and complete: whole pieces, a full sample, refused bytes.
void XmlFramer::flush_run(std::uint64_t known_end) {
  if (mode_ != Mode::run || known_end < rescan_end_) {
    return;
  }
  if (sample_bytes_ > 0 && !refusing_ && known_end - begin_ >= sample_bytes_) {
    out_->push_back({begin_, sample_bytes_, PieceKind::malformed, reason_, false, false});
    begin_ += sample_bytes_;
    refusing_ = true;
  }
  if (refusing_) {
    refuse(begin_, known_end);
    begin_ = known_end;
    return;
  }
  // Only where more of the run follows is it known that a piece continues.
  while (sample_bytes_ == 0 && known_end - begin_ > limits_.malformed_piece_bytes_max) {
    const std::uint64_t length = limits_.malformed_piece_bytes_max;
    out_->push_back({begin_, length, PieceKind::malformed, reason_, true, false});
    begin_ += length;
  }
}

void XmlFramer::end_run(std::uint64_t at, CutReason reason) {
  flush_run(at);
  if (refusing_) {
    refuse(begin_, at);
  } else {
    emit_malformed(begin_, at, reason);
  }
  begin_ = at;
  refusing_ = false;
}

// A document begins in a run.
void XmlFramer::resume_at(std::uint64_t at) {
  const bool cut_short = at < document_failed_at_ &&
                         (reason_ == CutReason::truncated || reason_ == CutReason::event_too_long);
  end_run(at, cut_short ? CutReason::unterminated : reason_);
  begin_document(at);
}

// What began at begin_ cannot be waited for any longer: it is too long, or nothing more comes. Its
// bytes become a run, and are read once more for a document in them: `<?xml ` even inside a comment
// or CDATA section that did not end, or the start of a root name.
void XmlFramer::fail(bool at_end) {
  const std::uint64_t here = position_;
  const bool in_construct = state_ == State::comment || state_ == State::cdata;
  if (in_construct) {
    (state_ == State::comment ? comment_known_ : cdata_known_) = {construct_begin_, here, last_bad_,
                                                                  tail_, false};
  }
  std::uint64_t again_from = in_construct ? construct_begin_ + 1 : here;
  if (mode_ != Mode::run) {
    // A second reading for root names, but never a third.
    if (begin_ >= roots_rescanned_until_) {
      again_from = (mode_ == Mode::document && root_begun_ ? root_begin_ : begin_) + 1;
      roots_rescanned_until_ = here;
    }
    any_markup_ = true;
    const CutReason doomed = mode_ == Mode::document ? doomed_ : CutReason::none;
    start_run(begin_, doomed != CutReason::none ? doomed
                      : at_end                  ? CutReason::truncated
                                                : CutReason::event_too_long);
    sample_bytes_ = at_end ? 0 : limits_.long_event_sample_bytes;
    document_failed_at_ = here;
  }
  state_ = State::text;
  blind_from_ = in_construct ? construct_begin_ : kNever;
  rescan_end_ = here;
  if (again_from < here) {
    rewind_to_ = again_from;
  }
}

void XmlFramer::doom(CutReason reason) {
  if (doomed_ == CutReason::none) {
    doomed_ = reason;
  }
}

void XmlFramer::open_element(std::uint64_t name, std::uint32_t namespaces) {
  if (levels_.size() == limits_.depth_max) {
    ++levels_over_;
    doom(CutReason::too_deep);
    return;
  }
  namespaces_ += namespaces;
  if (namespaces_ > limits_.namespaces_max) {
    doom(CutReason::too_many_namespaces);
  }
  levels_.push_back({name, namespaces});
}

bool XmlFramer::close_element(std::uint64_t name) {
  if (levels_over_ > 0) {
    --levels_over_;
    return false;
  }
  if (levels_.back().name != name) {
    unwind_to(name);
  } else {
    namespaces_ -= levels_.back().namespaces;
    levels_.pop_back();
  }
  return levels_.empty();
}

// An end tag that does not match. The parser will refuse this document, with line and column; what
// matters here is where it ends: the tag closes the innermost element of its name, and with it all
// that was left open inside; one that opens nothing closes nothing.
void XmlFramer::unwind_to(std::uint64_t name) {
  const auto match = std::find_if(levels_.rbegin(), levels_.rend(),
                                  [name](const Level& level) { return level.name == name; });
  if (match == levels_.rend()) {
    return;
  }
  for (auto level = levels_.rbegin(); level != match + 1; ++level) {
    namespaces_ -= level->namespaces;
  }
  levels_.erase(match.base() - 1, levels_.end());
}

void XmlFramer::root_begins(std::uint64_t name) {
  root_begun_ = true;
  root_begin_ = token_begin_;
  const std::size_t seen = std::min<std::size_t>(seen_root_count_, kSeenRootsMax);
  const auto* const end = seen_roots_.begin() + seen;
  if (std::find(seen_roots_.cbegin(), end, name) == end) {
    seen_roots_[seen_root_count_++ % kSeenRootsMax] = name;
  }
}

bool XmlFramer::resumes_at_root(std::uint64_t name) const {
  if (seen_root_count_ == 0) {
    return reason_ != CutReason::unsupported_encoding;
  }
  const std::size_t seen = std::min<std::size_t>(seen_root_count_, kSeenRootsMax);
  const auto* const end = seen_roots_.begin() + seen;
  return std::find(seen_roots_.begin(), end, name) != end;
}

}  // namespace sluice
