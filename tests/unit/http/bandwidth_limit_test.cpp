// The token bucket of what is sent.
#include "common/http/bandwidth_limit.h"

#include <doctest/doctest.h>

namespace sluice {
namespace {

using std::chrono::milliseconds;

constexpr MonotonicTime kBegin{std::chrono::hours(1)};

TEST_CASE("no_more_than_the_rate_and_one_burst_goes_out_however_often_it_is_asked_for") {
  for (const std::size_t piece : {1UL, 1000UL, 64UL * kKiB, 10UL * kMiB}) {
    BandwidthLimit limit(kMiB);
    std::uint64_t sent = 0;
    for (int ms = 0; ms <= 10'000; ++ms) {
      for (std::size_t taken = piece; taken == piece && piece >= 1000;) {
        taken = limit.take(piece, kBegin + milliseconds(ms));
        sent += taken;
      }
      sent += limit.take(piece, kBegin + milliseconds(ms));
    }
    CHECK(sent <= 10 * kMiB + kMiB / 10 + 1);
    CHECK((sent >= 10 * kMiB - kMiB / 10 || piece == 1));
  }
}

TEST_CASE("what_was_not_used_does_not_pile_up_and_a_clock_that_stands_gives_nothing") {
  BandwidthLimit limit(kMiB);
  CHECK(limit.take(kMiB, kBegin) == kMiB / 10);
  CHECK(limit.take(kMiB, kBegin) == 0);
  CHECK(limit.ready_at(kBegin) > kBegin + milliseconds(40));
  CHECK(limit.ready_at(kBegin) < kBegin + milliseconds(60));
  CHECK(limit.ready_at(kBegin + milliseconds(60)) == kBegin + milliseconds(60));
  CHECK(limit.take(kMiB, kBegin + std::chrono::hours(1)) == kMiB / 10);
}

TEST_CASE("no_limit_is_no_limit") {
  BandwidthLimit limit(0);
  CHECK(limit.take(kGiB, kBegin) == kGiB);
  CHECK(limit.ready_at(kBegin) == kBegin);
}

}  // namespace
}  // namespace sluice
