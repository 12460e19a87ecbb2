// The histogram behind sluice-load's percentiles.
#include "latency.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "random.h"

using namespace sluice::load;
using std::chrono::nanoseconds;

namespace {

// Of the sorted sample, as quantile() means it.
std::int64_t exact(const std::vector<std::int64_t>& sorted, double share) {
  const auto rank = static_cast<std::size_t>(share * static_cast<double>(sorted.size()) + 0.999999);
  return sorted[std::max<std::size_t>(rank, 1) - 1];
}

}  // namespace

TEST_CASE("a_quantile_is_never_too_short_and_at_most_1_6_percent_too_long") {
  constexpr std::uint64_t kSeed = 20;
  CAPTURE(kSeed);
  Random random(kSeed);
  LatencyHistogram histogram;
  std::vector<std::int64_t> sample;
  for (int i = 0; i < 20'000; ++i) {
    // 0 ns to 18 minutes, every order of magnitude as often.
    const auto value = static_cast<std::int64_t>(random.next() >> (24 + random.below(40)));
    sample.push_back(value);
    histogram.add(nanoseconds(value));
  }
  std::sort(sample.begin(), sample.end());
  CHECK(histogram.count() == sample.size());
  CHECK(histogram.longest().count() == sample.back());
  for (const double share : {0.0, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    CAPTURE(share);
    const std::int64_t found = histogram.quantile(share).count();
    const std::int64_t right = exact(sample, share);
    CHECK(found >= right);
    CHECK(static_cast<double>(found - right) <=
          LatencyHistogram::kPrecision * static_cast<double>(right));
  }
}

TEST_CASE("an_empty_histogram_and_one_of_equal_values_say_what_there_is") {
  LatencyHistogram histogram;
  CHECK(histogram.quantile(0.99) == nanoseconds(0));
  for (int i = 0; i < 100; ++i) {
    histogram.add(std::chrono::microseconds(250));
  }
  CHECK(histogram.quantile(0.5) == std::chrono::microseconds(250));
  CHECK(histogram.quantile(0.999) == std::chrono::microseconds(250));
}

TEST_CASE("what_no_bucket_is_made_for_is_counted_in_the_outermost") {
  LatencyHistogram histogram;
  histogram.add(nanoseconds(-5));  // a clock that steps
  histogram.add(std::chrono::hours(5));
  CHECK(histogram.quantile(0.5) == nanoseconds(0));
  CHECK(histogram.longest() == std::chrono::hours(5));
  CHECK(histogram.quantile(1.0) > std::chrono::minutes(18));
}
