// LatencyHistogram: how long answers took, in bounded memory (18 KiB) whatever their number.
//
// Buckets as of HdrHistogram: nanoseconds up to 127 one by one, then 64 equal ones in each doubling
// up to 18 minutes. What it gives back is the upper end of a bucket: never too short, at most 1.6 %
// too long. The longest is kept exactly.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace sluice::load {

class LatencyHistogram {
 public:
  static constexpr double kPrecision = 1.0 / 64;

  void add(std::chrono::nanoseconds latency);

  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] std::chrono::nanoseconds longest() const { return longest_; }
  // So long or shorter did this share of them take, 0 <= share <= 1. 0 where there are none.
  [[nodiscard]] std::chrono::nanoseconds quantile(double share) const;

 private:
  static constexpr unsigned kBitsInDoubling = 6;
  static constexpr std::uint64_t kInDoubling = 1U << kBitsInDoubling;
  static constexpr std::uint64_t kNanosecondsMax = (std::uint64_t{1} << 40) - 1;
  static constexpr std::size_t kBuckets = (40 - kBitsInDoubling + 1) * kInDoubling;

  static std::size_t bucket_of(std::uint64_t nanoseconds);
  static std::uint64_t upper_end(std::size_t bucket);

  std::array<std::uint64_t, kBuckets> buckets_{};
  std::uint64_t count_ = 0;
  std::chrono::nanoseconds longest_{};
};

}  // namespace sluice::load
