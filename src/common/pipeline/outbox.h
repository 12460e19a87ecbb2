// Outbox: where a worker puts what it makes. In the pipeline a queue stands behind it, in a unit
// test a vector, in the simulator a list.
#pragma once

#include <utility>
#include <vector>

#include "common/pipeline/bounded_queue.h"

namespace sluice {

template <class T>
class Outbox {
 public:
  virtual ~Outbox() = default;
  // Blocks while the next stage is full. False: the pipeline is being cancelled, stop working.
  [[nodiscard]] virtual bool push(T item) = 0;
  // Never blocks. On false `item` is untouched.
  [[nodiscard]] virtual bool try_push(T& item) = 0;
};

template <class T>
class QueueOutbox final : public Outbox<T> {
 public:
  explicit QueueOutbox(BoundedQueue<T>& queue) : queue_(queue) {}
  bool push(T item) override { return queue_.push(std::move(item)); }
  bool try_push(T& item) override { return queue_.try_push(item); }

 private:
  BoundedQueue<T>& queue_;
};

template <class T>
class VectorOutbox final : public Outbox<T> {
 public:
  bool push(T item) override {
    items.push_back(std::move(item));
    return true;
  }
  bool try_push(T& item) override { return push(std::move(item)); }

  std::vector<T> items;
};

}  // namespace sluice
