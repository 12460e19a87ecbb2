// Conditions: what is wrong right now. A stage raises one under a name and clears it when it is
// over; /ready, /status, the log and the page all read the same sentence.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/units.h"

namespace sluice {

class Conditions {
 public:
  enum class Severity : std::uint8_t {
    alarm,      // somebody must look; the feed is not affected
    not_ready,  // /ready answers 503
  };
  struct Condition {
    std::string name;  // "store.credentials", "spool.disk_full"
    Severity severity = Severity::alarm;
    std::string message;  // what, where, what to do
    WallTime since{};
  };

  Conditions() = default;
  // A part of `all`, which outlives it: what is raised here stands there behind `scope` ("logs.").
  Conditions(Conditions& all, std::string scope) : all_(&all), scope_(std::move(scope)) {}

  // Thread-safe. Logs "alarm raised" when it is new or its message changed.
  void raise(std::string_view name, Severity severity, std::string message);
  // Logs "alarm cleared" when it was raised.
  void clear(std::string_view name);
  // Of the whole, also asked of a part.
  [[nodiscard]] std::vector<Condition> current() const;
  [[nodiscard]] bool ready() const;  // none is not_ready

 private:
  Conditions* const all_ = nullptr;
  const std::string scope_;
  mutable std::mutex mutex_;
  std::map<std::string, Condition, std::less<>> conditions_;
};

}  // namespace sluice
