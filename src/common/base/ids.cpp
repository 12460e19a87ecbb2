#include "common/base/ids.h"

#include <array>
#include <cinttypes>
#include <cstdio>

namespace sluice {

std::string to_string(const SegmentId& id) {
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%016" PRIx64 "-%016" PRIx64, id.num, id.uid);
  return text.data();
}

}  // namespace sluice
