// EgressLink: how Spool reaches the Rotate of the day, which may be torn down and built again at
// any time. What is lost here is found again by listing the spool.
#pragma once

#include <mutex>

#include "common/pipeline/bounded_queue.h"
#include "common/pipeline/outbox.h"
#include "stages/messages.h"

namespace sluice {

class EgressLink final : public Outbox<FinishedSegment> {
 public:
  // None: there is no egress right now.
  void connect(BoundedQueue<RotateInput>* queue) {
    const std::scoped_lock lock(mutex_);
    queue_ = queue;
  }

  // Never blocks: Spool never waits for Rotate.
  bool push(FinishedSegment segment) override { return try_push(segment); }
  bool try_push(FinishedSegment& segment) override {
    // A lock once a segment, not once a batch.
    const std::scoped_lock lock(mutex_);
    if (queue_ == nullptr) {
      return false;
    }
    RotateInput input(std::move(segment));
    if (queue_->try_push(input)) {
      return true;
    }
    segment = std::move(std::get<FinishedSegment>(input));
    return false;
  }
  // True when Rotate got it.
  bool request_drain() {
    const std::scoped_lock lock(mutex_);
    RotateInput input(DrainEgress{});
    return queue_ != nullptr && queue_->try_push(input);
  }

 private:
  std::mutex mutex_;
  BoundedQueue<RotateInput>* queue_ = nullptr;
};

}  // namespace sluice
