// LineFramer: cuts one connection's bytes into lines; white space between them is a separator.
// Bytes only, no memory of what went by; the caller keeps all from hold_from() on:
//
//   feed: scan(the bytes from position() on, cuts), which takes them all;
//   end:  finish(cuts).
//
// A line is what stands between two LF, without the white space around it (a CR before the LF is
// white space); a line of nothing else is none. One whose bytes are more than `line_bytes_max`, or
// that comes to more than one byte beyond with the white space behind it, is not kept: refused as
// `event_too_long` in as many parts as it arrives in, all but the last marked `continues`, and
// framing goes on behind its LF. So a caller answers a refused cut that does not continue, once,
// when the line ends. No more than line_bytes_max + 1 bytes are ever held.
// The same bytes give the same cuts wherever the calls are cut, but for the parts of a refused
// line. Thread-compatible.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "common/base/cut.h"
#include "common/base/units.h"

namespace sluice {

class LineFramer {
 public:
  explicit LineFramer(std::uint64_t line_bytes_max);  // MAX_MESSAGE_SIZE; below 2 GiB

  // The next byte wanted: the end of what was given.
  [[nodiscard]] std::uint64_t position() const { return position_; }
  // Bytes from here on belong to no cut and no separator yet. While a line is under way that is at
  // least one byte, also while it is refused.
  [[nodiscard]] std::uint64_t hold_from() const {
    return mode_ == Mode::between ? position_ : begin_;
  }
  // Lines can begin anywhere: no connection is refused for its bytes.
  [[nodiscard]] static bool refuses() { return false; }

  // `bytes` begin at position().
  void scan(std::span<const std::byte> bytes, std::vector<Cut>& out);
  // No more bytes will come. What stands behind the last LF is a line, too; of a connection that
  // did not end cleanly it may be cut short, and the caller decides. Always true.
  [[nodiscard]] bool finish(std::vector<Cut>& out);

 private:
  enum class Mode : std::uint8_t {
    between,   // nothing but white space since the last LF
    line,      // in a line
    refusing,  // in one that is too long
  };

  const char* scan_between(const char* p, const char* end);
  const char* scan_line(const char* p, const char* end, std::vector<Cut>& out);
  [[nodiscard]] bool too_long(std::uint64_t end) const;
  void end_line(std::uint64_t end, std::vector<Cut>& out);
  void refuse(std::uint64_t until, bool continues, std::vector<Cut>& out);

  std::uint64_t line_bytes_max_;
  std::uint64_t position_ = 0;
  Mode mode_ = Mode::between;
  std::uint64_t begin_ = 0;     // of the line; while refusing, of what is not refused yet
  std::uint64_t text_end_ = 0;  // behind its last byte so far that is not white space
};

}  // namespace sluice
