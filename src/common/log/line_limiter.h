// LineLimiter: lets a line of each name pass once in a while and counts the others. Thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/units.h"

namespace sluice::log {

class LineLimiter {
 public:
  explicit LineLimiter(std::chrono::milliseconds interval) : interval_(interval) {}

  // Nothing: leave the line out. A number: write it; so many of this name were left out since the
  // last one that passed. Names are constants of the code, so what is remembered is bounded.
  std::optional<std::uint64_t> pass(std::string_view name, MonotonicTime now);

 private:
  struct Seen {
    MonotonicTime passed_at{};
    std::uint64_t suppressed = 0;
  };
  const std::chrono::milliseconds interval_;
  std::mutex mutex_;
  std::map<std::string, Seen, std::less<>> seen_;
};

}  // namespace sluice::log
