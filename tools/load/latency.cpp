#include "latency.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace sluice::load {

// Of a value in [2^k, 2^(k+1)) the 7 highest bits choose among the 64 buckets of its doubling.
std::size_t LatencyHistogram::bucket_of(std::uint64_t nanoseconds) {
  if (nanoseconds < 2 * kInDoubling) {
    return nanoseconds;
  }
  const auto shift = static_cast<unsigned>(std::bit_width(nanoseconds)) - kBitsInDoubling - 1;
  return shift * kInDoubling + (nanoseconds >> shift);
}

std::uint64_t LatencyHistogram::upper_end(std::size_t bucket) {
  if (bucket < 2 * kInDoubling) {
    return bucket;
  }
  const std::uint64_t shift = bucket / kInDoubling - 1;
  const std::uint64_t highest_bits = bucket - shift * kInDoubling;
  return ((highest_bits + 1) << shift) - 1;
}

void LatencyHistogram::add(std::chrono::nanoseconds latency) {
  const auto nanoseconds = static_cast<std::uint64_t>(std::max<std::int64_t>(latency.count(), 0));
  ++buckets_.at(bucket_of(std::min(nanoseconds, kNanosecondsMax)));
  ++count_;
  longest_ = std::max(longest_, latency);
}

std::chrono::nanoseconds LatencyHistogram::quantile(double share) const {
  const double wanted = std::ceil(share * static_cast<double>(count_));
  std::uint64_t passed = 0;
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    passed += buckets_.at(i);
    if (buckets_.at(i) > 0 && static_cast<double>(passed) >= wanted) {
      return std::min(longest_, std::chrono::nanoseconds(static_cast<std::int64_t>(upper_end(i))));
    }
  }
  return longest_;
}

}  // namespace sluice::load
