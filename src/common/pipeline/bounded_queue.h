// BoundedQueue: a bounded MPMC queue without a lock on push or pop. moodycamel's ConcurrentQueue
// carries the items (its try_enqueue is no bound and its size_approx no end), two semaphores carry
// the bound and the wake-ups, an exact count tells the end. Items of one producer thread keep
// their order for one consumer thread.
#pragma once

#include <concurrentqueue/concurrentqueue.h>
#include <concurrentqueue/lightweightsemaphore.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <new>
#include <optional>
#include <utility>

#include "common/base/units.h"

namespace sluice {

template <class T>
class BoundedQueue {
 public:
  // Holds at most `capacity` items, at least 1.
  explicit BoundedQueue(std::size_t capacity)
      : capacity_(capacity == 0 ? 1 : capacity),
        items_(std::min(capacity_, kItemsMadeAhead)),
        slots_(static_cast<Semaphore::ssize_t>(capacity_)) {}
  BoundedQueue(const BoundedQueue&) = delete;
  BoundedQueue& operator=(const BoundedQueue&) = delete;

  // Blocks while full. False when closed or cancelled: the item is dropped with its charge. Throws
  // std::bad_alloc, as try_push.
  bool push(T item) {
    slots_.wait();
    return enqueue_with_slot(item);
  }

  // Never blocks; false (item untouched) when full, closed or cancelled. After a false for want of
  // room the space listener is called once room is made.
  bool try_push(T& item) {
    if (!slots_.tryWait()) {
      if (starved_.exchange(true)) {
        return false;
      }
      // A pop between the two looks would not have seen the announcement: look again.
      if (!slots_.tryWait()) {
        return false;
      }
    }
    return enqueue_with_slot(item);
  }

  // Blocks until an item, the end of the stream (closed and drained, or cancelled) or `deadline`.
  // Nothing at the end and at the deadline; finished() tells which.
  std::optional<T> pop_until(MonotonicTime deadline) {
    for (;;) {
      if (deadline == MonotonicTime::max()) {
        available_.wait();
      } else {
        const auto left = std::chrono::ceil<std::chrono::microseconds>(
            deadline - std::chrono::steady_clock::now());
        if (!(left.count() > 0 ? available_.wait(left.count()) : available_.tryWait())) {
          return std::nullopt;
        }
      }
      if (auto item = take(); item || finished()) {
        return item;
      }
    }
  }

  // Blocks until an item or the end of the stream.
  std::optional<T> pop() { return pop_until(MonotonicTime::max()); }

  // Never blocks.
  std::optional<T> try_pop() {
    if (!available_.tryWait()) {
      return std::nullopt;
    }
    return take();
  }

  // No more pushes; consumers drain what is there, then see the end.
  void close() {
    closed_.store(true);
    wake_everyone();
  }

  // No more pushes and no more items: everyone waiting returns. Items left die with the queue.
  void cancel() {
    cancelled_.store(true);
    close();
  }

  [[nodiscard]] bool finished() const {
    return cancelled_.load() || (closed_.load() && count_.load() == 0);
  }
  [[nodiscard]] bool cancelled() const { return cancelled_.load(); }
  // Exact: items pushed and not yet popped.
  [[nodiscard]] std::size_t size() const { return count_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::size_t capacity() const { return capacity_; }

  // Set before any thread uses the queue. Called on the popping thread after room was made for a
  // producer whose try_push found none; must not block.
  void set_space_listener(std::function<void()> listener) { on_space_ = std::move(listener); }
  // Called on the pushing (or closing) thread after each push; for a consumer that waits on
  // something else (a poll set). Must not block.
  void set_item_listener(std::function<void()> listener) { on_item_ = std::move(listener); }

 private:
  using Semaphore = moodycamel::LightweightSemaphore;
  // More than any number of threads that ever waits on one queue.
  static constexpr int kWakeEveryone = 4096;
  // Memory for so many items is taken at once; for more when they come, and kept.
  static constexpr std::size_t kItemsMadeAhead = 1024;

  bool enqueue_with_slot(T& item) {
    count_.fetch_add(1);
    if (closed_.load()) {
      // Counted first, looked second: either close() sees our count, or we see that it closed.
      count_.fetch_sub(1);
      slots_.signal();
      available_.signal();  // the last consumer may have seen our count: let it look again
      return false;
    }
    if (!items_.enqueue(std::move(item))) {  // untouched: there is no memory for it
      count_.fetch_sub(1);
      slots_.signal();
      throw std::bad_alloc();
    }
    available_.signal();
    if (on_item_) {
      on_item_();
    }
    return true;
  }

  // After a successful wait on available_. Nothing when the wake-up was for the end only.
  std::optional<T> take() {
    for (;;) {
      if (cancelled_.load()) {
        available_.signal();  // pass the end on to the next consumer
        return std::nullopt;
      }
      T item;
      if (items_.try_dequeue(item)) {
        count_.fetch_sub(1);
        slots_.signal();
        if (starved_.load() && starved_.exchange(false) && on_space_) {
          on_space_();
        }
        if (closed_.load()) {
          available_.signal();
        }
        return item;
      }
      if (closed_.load() && count_.load() == 0) {
        available_.signal();
        return std::nullopt;
      }
      if (!closed_.load() && count_.load() == 0) {
        return std::nullopt;  // a wake-up left over from a push that lost against close()
      }
      // Signalled, but the item is not visible yet, or another producer is between its count and
      // its enqueue: moments.
    }
  }

  void wake_everyone() {
    slots_.signal(kWakeEveryone);
    available_.signal(kWakeEveryone);
    if (on_item_) {
      on_item_();
    }
  }

  const std::size_t capacity_;
  moodycamel::ConcurrentQueue<T> items_;
  Semaphore slots_;
  Semaphore available_;
  std::atomic<std::size_t> count_{0};
  std::atomic<bool> closed_{false};
  std::atomic<bool> cancelled_{false};
  std::atomic<bool> starved_{false};
  std::function<void()> on_space_;
  std::function<void()> on_item_;
};

}  // namespace sluice
