#include "common/ndjson/line_framer.h"

#include <cstring>

#include "common/base/check.h"
#include "common/ndjson/line_space.h"

namespace sluice {

LineFramer::LineFramer(std::uint64_t line_bytes_max) : line_bytes_max_(line_bytes_max) {
  CHECK_THAT(line_bytes_max > 0 && line_bytes_max < 2 * kGiB);
}

void LineFramer::scan(std::span<const std::byte> bytes, std::vector<Cut>& out) {
  const char* p = reinterpret_cast<const char*>(bytes.data());
  const char* const end = p + bytes.size();
  while (p != end) {
    p = mode_ == Mode::between ? scan_between(p, end) : scan_line(p, end, out);
  }
}

// To the first byte of a line.
const char* LineFramer::scan_between(const char* p, const char* end) {
  const char* const begin = p;
  while (p != end && is_line_space(*p)) {
    ++p;
  }
  position_ += static_cast<std::uint64_t>(p - begin);
  if (p != end) {
    mode_ = Mode::line;
    begin_ = position_;
    text_end_ = position_;
  }
  return p;
}

// To behind the LF, or to the end of what there is.
const char* LineFramer::scan_line(const char* p, const char* end, std::vector<Cut>& out) {
  const auto* found = static_cast<const char*>(std::memchr(p, '\n', static_cast<size_t>(end - p)));
  const char* const stop = found != nullptr ? found : end;
  if (mode_ == Mode::line) {
    // White space may be the line's end or stand inside of it: what follows tells.
    const char* text = stop;
    while (text != p && is_line_space(text[-1])) {
      --text;
    }
    if (text != p) {
      text_end_ = position_ + static_cast<std::uint64_t>(text - p);
    }
  }
  position_ += static_cast<std::uint64_t>(stop - p);
  if (found != nullptr) {
    end_line(position_, out);
    ++position_;
    return stop + 1;
  }
  if (mode_ == Mode::line && too_long(position_)) {
    mode_ = Mode::refusing;
  }
  if (mode_ == Mode::refusing && position_ - 1 > begin_) {
    refuse(position_ - 1, true, out);  // the last byte waits: no part is empty
  }
  return stop;
}

// That bytes up to `end` belong to this line is known, and no LF was among them.
bool LineFramer::too_long(std::uint64_t end) const {
  return text_end_ - begin_ > line_bytes_max_ || end - begin_ > line_bytes_max_ + 1;
}

void LineFramer::end_line(std::uint64_t end, std::vector<Cut>& out) {
  if (mode_ == Mode::refusing || too_long(end)) {
    refuse(end, false, out);
  } else {
    out.push_back({.begin = begin_, .length = text_end_ - begin_});
  }
  mode_ = Mode::between;
}

void LineFramer::refuse(std::uint64_t until, bool continues, std::vector<Cut>& out) {
  out.push_back({.begin = begin_,
                 .length = until - begin_,
                 .kind = PieceKind::malformed,
                 .reason = CutReason::event_too_long,
                 .continues = continues,
                 .refused = true});
  begin_ = until;
}

bool LineFramer::finish(std::vector<Cut>& out) {
  if (mode_ != Mode::between) {
    end_line(position_, out);
  }
  return true;
}

}  // namespace sluice
