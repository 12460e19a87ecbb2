#include "common/platform/random.h"

#include <sys/random.h>

#include "common/base/check.h"

namespace sluice {

Random64 system_random() {
  return [] {
    std::uint64_t bits = 0;
    CHECK_THAT(::getrandom(&bits, sizeof bits, 0) == sizeof bits);
    return bits;
  };
}

}  // namespace sluice
