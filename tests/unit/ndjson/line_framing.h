// Drives a LineFramer as Frame does: for tests, fuzz targets and nothing else. Throws where the
// framer breaks its contract with the caller.
#pragma once

#include <algorithm>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/buffer.h"
#include "common/ndjson/line_framer.h"

namespace sluice::test {

struct FramedLines {
  std::vector<Cut> cuts;        // the parts of a refused line joined
  std::uint64_t held_most = 0;  // bytes that the caller had to keep between calls
};

// `ends`: ascending ends of the parts that the stream arrives in; the last is text.size().
inline FramedLines frame_lines(std::string_view text, const std::vector<std::size_t>& ends,
                               std::uint64_t line_bytes_max) {
  const auto require = [](bool holds, const char* what) {
    if (!holds) {
      throw std::logic_error(what);
    }
  };
  LineFramer framer(line_bytes_max);
  FramedLines result;
  std::vector<Cut> cuts;
  for (const std::size_t end : ends) {
    const std::uint64_t held_from = framer.hold_from();
    framer.scan(as_bytes(text.substr(framer.position(), end - framer.position())), cuts);
    require(framer.position() == end, "did not take all");
    require(framer.hold_from() >= held_from, "wants bytes back");
    require(framer.hold_from() <= end, "holds what it has not seen");
    require(cuts.empty() || framer.hold_from() >= cuts.back().begin + cuts.back().length,
            "holds what is cut");
    result.held_most = std::max(result.held_most, end - framer.hold_from());
  }
  require(framer.finish(cuts), "asks for bytes again at the end");
  std::uint64_t behind = 0;
  bool continues = false;
  for (const Cut& cut : cuts) {
    require(cut.begin >= behind, "cuts overlap");
    require(cut.length > 0, "an empty cut");
    require(!continues || (cut.refused && cut.begin == behind), "continues with something else");
    behind = cut.begin + cut.length;
    require(behind <= text.size(), "a cut behind the end");
    if (continues) {
      result.cuts.back().length += cut.length;
      result.cuts.back().continues = cut.continues;
    } else {
      result.cuts.push_back(cut);
    }
    continues = cut.continues;
  }
  require(!continues, "a refused line without an end");
  return result;
}

inline FramedLines frame_lines(std::string_view text, std::uint64_t line_bytes_max = kMiB) {
  return frame_lines(text, std::vector<std::size_t>{text.size()}, line_bytes_max);
}

// The lines as text; "R:length" of one that is refused.
inline std::vector<std::string> describe_lines(std::string_view text, const FramedLines& framed) {
  std::vector<std::string> lines;
  for (const Cut& cut : framed.cuts) {
    lines.push_back(cut.refused ? "R:" + std::to_string(cut.length)
                                : std::string(text.substr(cut.begin, cut.length)));
  }
  return lines;
}

}  // namespace sluice::test
