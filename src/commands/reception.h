// Reception: the Receive threads of one listener, the lanes from them to Frame, and the queues by
// which replies come back. The front of every ingest.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "commands/lane_outbox.h"
#include "commands/listener.h"
#include "commands/queue_level.h"
#include "common/config/config.h"
#include "common/pipeline/pipeline.h"
#include "common/platform/clock.h"
#include "stages/books.h"
#include "stages/receive.h"

namespace sluice {

class Reception {
 public:
  struct Parts {
    const Config& config;
    const Clock& clock;
    Books& books;
    const std::atomic<bool>& pause_reading;
    std::uint64_t memory_bytes = 0;
  };
  // `listener` outlives it.
  Reception(const Parts& parts, Listener& listener);
  // Its threads and queues, under names that begin with `scope`.
  void add_to(Pipeline& pipeline, const std::string& scope);

  // Thread-safe; of the Receive thread that has the connection. Never blocks: there is room for
  // what every chunk in flight may be answered with, and for every end.
  void reply(Reply reply);
  // Of a thread that changed what Receive waits for (the watermark, a lane).
  void wake();

  [[nodiscard]] std::size_t lanes() const { return lanes_.size(); }
  BoundedQueue<Chunk>& lane(std::size_t index) { return *lanes_[index]; }
  [[nodiscard]] const MemoryBudget& memory() const { return memory_; }
  [[nodiscard]] std::vector<QueueLevel> queues() const;

 private:
  MemoryBudget memory_;
  ReceiveShared shared_;
  std::vector<LaneOutbox::Lane> lanes_;
  LaneOutbox lane_outbox_;
  std::vector<std::unique_ptr<BoundedQueue<Reply>>> replies_;
  std::vector<std::unique_ptr<Receiver>> receivers_;
};

}  // namespace sluice
