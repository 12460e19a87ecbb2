#include "common/net/rate_limiter.h"

namespace sluice {

std::optional<MonotonicTime> RateLimiter::count(const PeerAddress& peer, std::uint64_t events,
                                                MonotonicTime now) {
  const std::scoped_lock lock(mutex_);
  forget_quiet_addresses(now);
  auto [entry, is_new] = windows_.try_emplace(peer.ip, Window{now, 0});
  Window& window = entry->second;
  if (now - window.begin >= limit_.window) {
    window = {now, 0};
  }
  window.events += events;
  if (window.events >= limit_.events_max) {
    return window.begin + limit_.window;
  }
  return std::nullopt;
}

std::size_t RateLimiter::addresses() const {
  const std::scoped_lock lock(mutex_);
  return windows_.size();
}

void RateLimiter::forget_quiet_addresses(MonotonicTime now) {
  if (now - swept_at_ < limit_.window) {
    return;
  }
  swept_at_ = now;
  std::erase_if(windows_,
                [&](const auto& entry) { return now - entry.second.begin >= 2 * limit_.window; });
}

}  // namespace sluice
