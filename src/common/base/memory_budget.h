// MemoryBudget: a bound in bytes that many threads share without a lock. Charge: a part of it,
// returned when it dies. Only Receive and Rotate's admission wait for room; everything later
// spends the charge that came with its message.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

namespace sluice {

class MemoryBudget;

// Move-only share of a budget. Thread-compatible: one owner at a time.
class Charge {
 public:
  Charge() = default;
  Charge(Charge&& other) noexcept
      : budget_(std::exchange(other.budget_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  Charge& operator=(Charge&& other) noexcept;
  Charge(const Charge&) = delete;
  Charge& operator=(const Charge&) = delete;
  ~Charge() { release(); }

  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  // Takes `bytes` of this charge into one of its own. bytes <= this->bytes().
  [[nodiscard]] Charge split(std::size_t bytes);
  // Adds all of `other`, which must be of the same budget or empty.
  void merge(Charge&& other);
  // Returns what is above `bytes` to the budget.
  void shrink_to(std::size_t bytes);
  void release();

 private:
  friend class MemoryBudget;
  Charge(MemoryBudget* budget, std::size_t bytes) : budget_(budget), bytes_(bytes) {}

  MemoryBudget* budget_ = nullptr;
  std::size_t bytes_ = 0;
};

class MemoryBudget {
 public:
  // `reserve_bytes` of `bytes_max` are given only by try_charge_reserve.
  explicit MemoryBudget(std::size_t bytes_max, std::size_t reserve_bytes = 0)
      : bytes_max_(bytes_max), reserve_bytes_(reserve_bytes) {}
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;
  ~MemoryBudget();

  // Never blocks. Nothing when it does not fit; then the release listeners are called after the
  // next release.
  [[nodiscard]] std::optional<Charge> try_charge(std::size_t bytes);
  // The same, down to the last byte: for the one holder whom the caller has privileged.
  [[nodiscard]] std::optional<Charge> try_charge_reserve(std::size_t bytes);
  // Always succeeds and may exceed the bound: for what must be done to free memory. Counted.
  [[nodiscard]] Charge charge_anyway(std::size_t bytes);

  // Whether all of the reserve may be had.
  [[nodiscard]] bool has_whole_reserve() const {
    return bytes_used() + reserve_bytes_ <= bytes_max_;
  }

  [[nodiscard]] std::size_t bytes_max() const { return bytes_max_; }
  [[nodiscard]] std::size_t bytes_used() const { return used_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::size_t bytes_peak() const { return peak_.load(std::memory_order_relaxed); }

  // Register before any other thread uses the budget. Called on the releasing thread; must not
  // block and must not charge.
  void add_release_listener(std::function<void()> listener);

 private:
  friend class Charge;
  std::optional<Charge> charge_below(std::size_t bytes, std::size_t limit);
  void note_peak(std::size_t used);
  void give_back(std::size_t bytes);

  const std::size_t bytes_max_;
  const std::size_t reserve_bytes_;
  std::atomic<std::size_t> used_{0};
  std::atomic<std::size_t> peak_{0};
  std::atomic<bool> starved_{false};
  std::vector<std::function<void()>> listeners_;
};

}  // namespace sluice
