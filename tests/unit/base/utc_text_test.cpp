#include "common/base/utc_text.h"

#include <doctest/doctest.h>

#include <string>

using namespace sluice;  // NOLINT

TEST_CASE("times_have_microseconds_rounded_down_also_before_1970") {
  const auto text = [](WallTime time) {
    std::string out;
    append_utc_microseconds(time, out);
    CHECK(out.size() == kUtcMicrosecondsLength);
    return out;
  };
  CHECK(text(wall_time_of(1'795'252'447) + std::chrono::nanoseconds(123'456'789)) ==
        "2026-11-21T09:14:07.123456Z");
  CHECK(text(wall_time_of(0)) == "1970-01-01T00:00:00.000000Z");
  CHECK(text(wall_time_of(0) - std::chrono::nanoseconds(1)) == "1969-12-31T23:59:59.999999Z");
  CHECK(text(wall_time_of(951'825'599)) == "2000-02-29T11:59:59.000000Z");
  CHECK(text(WallTime::max()) == "2262-04-11T23:47:16.854775Z");
}
