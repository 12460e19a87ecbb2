#include "common/net/rate_limiter.h"

#include <openssl/evp.h>

#include <algorithm>
#include <iterator>

#include "common/base/check.h"

namespace sluice {
namespace {

// More than one is made a call, so that windows which are over go; not so many that one call would
// hold the others up.
constexpr int kForgottenPerCall = 8;

}  // namespace

RateLimiter::Key RateLimiter::key_of(const PeerAddress& peer) { return peer.ip; }

RateLimiter::Key RateLimiter::key_of(std::string_view client_name) {
  std::array<std::uint8_t, EVP_MAX_MD_SIZE> digest{};
  CHECK_THAT(EVP_Digest(client_name.data(), client_name.size(), digest.data(), nullptr,
                        EVP_sha256(), nullptr) == 1);
  Key key;
  std::copy_n(digest.begin(), key.size(), key.begin());
  return key;
}

RateLimiter::Counted RateLimiter::count(const Key& key, std::uint64_t events, MonotonicTime now) {
  const std::scoped_lock lock(mutex_);
  for (int i = 0;
       i < kForgottenPerCall && !windows_.empty() && now - windows_.front().begin >= limit_.window;
       ++i) {
    forget_oldest();
  }
  Window& window = *window_of(key, now);
  const std::uint64_t left = limit_.events_max - std::min(window.events, limit_.events_max);
  window.events += events;
  Counted counted{std::min(left, events), std::nullopt};
  if (window.events >= limit_.events_max) {
    counted.used_up_until = window.begin + limit_.window;
  }
  return counted;
}

// The running window of `key`, or a new one.
RateLimiter::Windows::iterator RateLimiter::window_of(const Key& key, MonotonicTime now) {
  const auto found = by_key_.find(key);
  if (found != by_key_.end()) {
    const auto window = found->second;
    if (now - window->begin >= limit_.window) {
      *window = {key, now, 0};
      windows_.splice(windows_.end(), windows_, window);
    }
    return window;
  }
  if (by_key_.size() >= limit_.keys_max) {
    forget_oldest();
  }
  windows_.push_back({key, now, 0});
  const auto window = std::prev(windows_.end());
  by_key_.emplace(key, window);
  return window;
}

void RateLimiter::forget_oldest() {
  by_key_.erase(windows_.front().key);
  windows_.pop_front();
}

std::size_t RateLimiter::keys() const {
  const std::scoped_lock lock(mutex_);
  return by_key_.size();
}

}  // namespace sluice
