// LaneOutbox: spreads chunks over Frame's lanes; a connection keeps its lane.
#pragma once

#include <memory>
#include <vector>

#include "common/pipeline/bounded_queue.h"
#include "common/pipeline/outbox.h"
#include "stages/messages.h"

namespace sluice {

class LaneOutbox final : public Outbox<Chunk> {
 public:
  using Lane = std::unique_ptr<BoundedQueue<Chunk>>;
  explicit LaneOutbox(const std::vector<Lane>& lanes) : lanes_(lanes) {}

  bool push(Chunk chunk) override {
    BoundedQueue<Chunk>& lane = lane_of(chunk);
    return lane.push(std::move(chunk));
  }
  bool try_push(Chunk& chunk) override { return lane_of(chunk).try_push(chunk); }

 private:
  BoundedQueue<Chunk>& lane_of(const Chunk& chunk) {
    return *lanes_[chunk.connection->id % lanes_.size()];
  }

  const std::vector<Lane>& lanes_;
};

}  // namespace sluice
