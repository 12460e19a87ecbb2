#include "common/base/utc_text.h"

#include <array>
#include <cstdio>
#include <ctime>

#include "common/base/check.h"

namespace sluice {

std::string utc_seconds(WallTime time) {
  const auto seconds = static_cast<std::time_t>(
      std::chrono::floor<std::chrono::seconds>(time.time_since_epoch()).count());
  std::tm broken_down{};
  CHECK_THAT(::gmtime_r(&seconds, &broken_down) != nullptr);
  std::array<char, 32> text{};
  const std::size_t length =
      std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &broken_down);
  CHECK_THAT(length > 0);
  return {text.data(), length};
}

std::string utc_milliseconds(WallTime time) {
  const auto milliseconds =
      std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch()).count() % 1000;
  std::array<char, 8> fraction{};
  std::snprintf(fraction.data(), fraction.size(), ".%03dZ", static_cast<int>(milliseconds));
  std::string text = utc_seconds(time);
  text.pop_back();
  return text + fraction.data();
}

}  // namespace sluice
