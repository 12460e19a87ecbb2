// Cut: what a framer decides about bytes of its stream. Frame makes pieces of them.
#pragma once

#include <cstdint>

#include "common/base/piece.h"

namespace sluice {

// A decision, in ascending order of begin and never overlapping: a piece, or bytes that are not
// kept. Stream positions count all bytes of the connection from 0.
struct Cut {
  std::uint64_t begin = 0;
  std::uint64_t length = 0;
  PieceKind kind = PieceKind::event;
  CutReason reason = CutReason::none;
  bool continues = false;  // the next cut goes on where this one stops
  // Not kept; may come in any number of parts, none of them empty. Of a line, all but the last say
  // that it continues.
  bool refused = false;
  bool operator==(const Cut&) const = default;
};

}  // namespace sluice
