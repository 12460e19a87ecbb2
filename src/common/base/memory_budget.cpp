#include "common/base/memory_budget.h"

#include "common/base/check.h"

namespace sluice {

Charge& Charge::operator=(Charge&& other) noexcept {
  if (this != &other) {
    release();
    budget_ = std::exchange(other.budget_, nullptr);
    bytes_ = std::exchange(other.bytes_, 0);
  }
  return *this;
}

Charge Charge::split(std::size_t bytes) {
  CHECK_THAT(bytes <= bytes_);
  bytes_ -= bytes;
  return {budget_, bytes};
}

void Charge::merge(Charge&& other) {
  if (other.budget_ == nullptr) {
    return;
  }
  CHECK_THAT(budget_ == nullptr || budget_ == other.budget_);
  budget_ = std::exchange(other.budget_, nullptr);
  bytes_ += std::exchange(other.bytes_, 0);
}

void Charge::shrink_to(std::size_t bytes) {
  CHECK_THAT(bytes <= bytes_);
  if (budget_ != nullptr) {
    budget_->give_back(bytes_ - bytes);
  }
  bytes_ = bytes;
}

void Charge::release() {
  if (budget_ != nullptr) {
    std::exchange(budget_, nullptr)->give_back(std::exchange(bytes_, 0));
  }
}

MemoryBudget::~MemoryBudget() { CHECK_THAT(used_.load() == 0); }

std::optional<Charge> MemoryBudget::try_charge(std::size_t bytes) {
  return charge_below(bytes, bytes_max_ - reserve_bytes_);
}

std::optional<Charge> MemoryBudget::try_charge_reserve(std::size_t bytes) {
  return charge_below(bytes, bytes_max_);
}

Charge MemoryBudget::charge_anyway(std::size_t bytes) {
  note_peak(used_.fetch_add(bytes, std::memory_order_acq_rel) + bytes);
  return {this, bytes};
}

std::optional<Charge> MemoryBudget::charge_below(std::size_t bytes, std::size_t limit) {
  std::size_t used = used_.load(std::memory_order_seq_cst);
  for (;;) {
    if (bytes > limit || used > limit - bytes) {
      // Announce first, then look again: a release in between would not see the announcement.
      if (starved_.exchange(true, std::memory_order_seq_cst)) {
        return std::nullopt;
      }
      used = used_.load(std::memory_order_seq_cst);
      if (bytes > limit || used > limit - bytes) {
        return std::nullopt;
      }
    }
    if (used_.compare_exchange_weak(used, used + bytes, std::memory_order_seq_cst)) {
      note_peak(used + bytes);
      return Charge(this, bytes);
    }
  }
}

void MemoryBudget::note_peak(std::size_t used) {
  std::size_t peak = peak_.load(std::memory_order_relaxed);
  while (used > peak && !peak_.compare_exchange_weak(peak, used, std::memory_order_relaxed)) {
  }
}

void MemoryBudget::give_back(std::size_t bytes) {
  if (bytes == 0) {
    return;
  }
  const std::size_t before = used_.fetch_sub(bytes, std::memory_order_seq_cst);
  CHECK_THAT(before >= bytes);
  if (starved_.load(std::memory_order_seq_cst) && starved_.exchange(false)) {
    for (const auto& listener : listeners_) {
      listener();
    }
  }
}

void MemoryBudget::add_release_listener(std::function<void()> listener) {
  listeners_.push_back(std::move(listener));
}

}  // namespace sluice
