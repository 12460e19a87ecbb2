// Drives an XmlFramer as Frame does, but with all bytes at hand: for tests, fuzz targets and
// nothing else. Throws where the framer breaks its contract with the caller.
#pragma once

#include <algorithm>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/buffer.h"
#include "common/xml/xml_framer.h"

namespace sluice::test {

inline void require(bool holds, const char* what) {
  if (!holds) {
    throw std::logic_error(what);
  }
}

struct Framed {
  std::vector<Cut> cuts;  // refused neighbours joined
  bool refuses = false;
  std::uint64_t scanned = 0;  // bytes given, those given again included
};

// `ends`: ascending ends of the parts that the stream arrives in; the last is text.size().
inline Framed frame(std::string_view text, const std::vector<std::size_t>& ends,
                    const FramerLimits& limits = {}) {
  XmlFramer framer(limits);
  Framed result;
  std::vector<Cut> cuts;
  std::uint64_t held_from = 0;
  const auto feed = [&](std::uint64_t end) {
    while (framer.position() < end) {
      require(framer.position() >= held_from, "asked for bytes that nobody keeps");
      const auto part = text.substr(framer.position(), end - framer.position());
      result.scanned += part.size();
      framer.scan(as_bytes(part), cuts);
      require(framer.hold_from() >= held_from, "wants bytes back");
      require(framer.hold_from() <= framer.position(), "holds what it has not seen");
      held_from = framer.hold_from();
    }
  };
  for (const std::size_t end : ends) {
    feed(end);
  }
  result.refuses = framer.refuses();
  while (!framer.finish(cuts)) {
    feed(text.size());
  }
  std::uint64_t behind = 0;
  for (const Cut& cut : cuts) {
    require(cut.begin >= behind, "cuts overlap");
    require(cut.length > 0, "an empty cut");
    behind = cut.begin + cut.length;
    require(behind <= text.size(), "a cut behind the end");
    if (cut.refused && !result.cuts.empty() && result.cuts.back().refused &&
        result.cuts.back().begin + result.cuts.back().length == cut.begin) {
      result.cuts.back().length += cut.length;
    } else {
      result.cuts.push_back(cut);
    }
  }
  return result;
}

inline Framed frame(std::string_view text, const FramerLimits& limits = {}) {
  return frame(text, std::vector<std::size_t>{text.size()}, limits);
}

// "E:<a/>" for an event, "M<reason>:bytes" for a malformed piece, "…" behind one that continues,
// "R:length" for refused bytes; separators left out.
inline std::vector<std::string> describe(std::string_view text, const std::vector<Cut>& cuts) {
  std::vector<std::string> lines;
  for (const Cut& cut : cuts) {
    const std::string bytes(text.substr(cut.begin, cut.length));
    if (cut.refused) {
      lines.push_back("R:" + std::to_string(cut.length));
    } else if (cut.kind == PieceKind::event) {
      lines.push_back("E:" + bytes);
    } else {
      lines.push_back("M" + std::to_string(static_cast<int>(cut.reason)) + ":" + bytes +
                      (cut.continues ? "…" : ""));
    }
  }
  return lines;
}

}  // namespace sluice::test
