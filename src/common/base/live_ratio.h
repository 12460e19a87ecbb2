// LiveRatio: how many bytes come out per byte that goes in, by what was made of late. One thread
// adds, any thread reads.
#pragma once

#include <atomic>
#include <cstdint>

namespace sluice {

class LiveRatio {
 public:
  // `in` not 0. Each addition weighs by its bytes, and what was before counts half of that.
  void add(std::uint64_t in, std::uint64_t out) {
    in_ = in_ / 2 + static_cast<double>(in);
    out_ = out_ / 2 + static_cast<double>(out);
    value_.store(out_ / in_, std::memory_order_relaxed);
  }
  // 1 before anything was added.
  [[nodiscard]] double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  double in_ = 0;
  double out_ = 0;
  std::atomic<double> value_{1.0};
};

}  // namespace sluice
