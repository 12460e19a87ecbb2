#include "commands/egress_restarts.h"

#include <doctest/doctest.h>

using namespace sluice;
using namespace std::chrono_literals;

TEST_CASE("p9_egress_is_built_again_later_each_time_and_given_up_after_five_failures") {
  EgressRestarts restarts;
  const MonotonicTime now{1h};
  for (const auto delay : {1s, 2s, 4s, 8s}) {
    CHECK(restarts.on_failure(now, 0) == now + delay);
  }
  CHECK_FALSE(restarts.on_failure(now, 0).has_value());
}

TEST_CASE("p9_a_segment_done_in_between_begins_the_count_anew") {
  EgressRestarts restarts;
  const MonotonicTime now{1h};
  for (std::uint64_t done = 1; done < 20; ++done) {
    CHECK(restarts.on_failure(now, done) == now + 1s);
  }
  CHECK(restarts.on_failure(now, 19) == now + 2s);
}
