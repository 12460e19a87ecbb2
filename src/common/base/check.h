// CHECK: an invariant that holds in release builds too. A failure prints where and aborts.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace sluice::detail {

[[noreturn]] inline void check_failed(const char* expression, const char* file, int line) {
  (void)std::fprintf(stderr, "CHECK failed: %s at %s:%d\n", expression, file, line);
  std::abort();
}

}  // namespace sluice::detail

#define CHECK_THAT(expression) \
  ((expression) ? void(0) : ::sluice::detail::check_failed(#expression, __FILE__, __LINE__))
