#include "common/log/line_limiter.h"

#include <utility>

namespace sluice::log {

std::optional<std::uint64_t> LineLimiter::pass(std::string_view name, MonotonicTime now) {
  const std::scoped_lock lock(mutex_);
  const auto found = seen_.find(name);
  if (found == seen_.end()) {
    seen_.emplace(std::string(name), Seen{now, 0});
    return 0;
  }
  Seen& seen = found->second;
  if (now - seen.passed_at < interval_) {
    ++seen.suppressed;
    return std::nullopt;
  }
  seen.passed_at = now;
  return std::exchange(seen.suppressed, 0);
}

}  // namespace sluice::log
