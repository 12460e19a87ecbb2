// RateLimiter: so many events a window for each address, or each client that a certificate names.
// A fixed window from the key's first event, by the monotonic clock; keys whose window is over are
// forgotten. Thread-safe; a lock a call.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <string_view>

#include "common/base/units.h"
#include "common/net/peer_address.h"

namespace sluice {

class RateLimiter {
 public:
  // About 15 MB. One more evicts the key whose window is the oldest: if that one was over its
  // limit it begins anew, so a flood of addresses costs memory nothing.
  static constexpr std::size_t kKeysMax = 100'000;

  struct Limit {
    std::uint64_t events_max = 0;
    std::chrono::milliseconds window{0};
    std::size_t keys_max = kKeysMax;
  };
  // Whose events are counted together.
  using Key = std::array<std::uint8_t, 16>;
  // By address; the port does not matter.
  static Key key_of(const PeerAddress& peer);
  // By name, of any length: the first half of its SHA-256, which nobody can make an address.
  static Key key_of(std::string_view client_name);

  struct Counted {
    // How many of the events, from the first, are within the limit; the others are to be refused.
    // They count like those within.
    std::uint64_t within = 0;
    // Where the limit is used up, by these or before: when its window ends.
    std::optional<MonotonicTime> used_up_until;
  };

  explicit RateLimiter(Limit limit) : limit_(limit) {}

  // Counts `events` of `key`. `now` never runs backwards by more than threads can overtake each
  // other.
  Counted count(const Key& key, std::uint64_t events, MonotonicTime now);
  [[nodiscard]] std::size_t keys() const;

 private:
  struct Window {
    Key key;
    MonotonicTime begin{};
    std::uint64_t events = 0;
  };
  using Windows = std::list<Window>;
  Windows::iterator window_of(const Key& key, MonotonicTime now);
  void forget_oldest();

  const Limit limit_;
  mutable std::mutex mutex_;
  Windows windows_;  // in the order in which they began
  std::map<Key, Windows::iterator> by_key_;
};

}  // namespace sluice
