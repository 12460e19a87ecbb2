// IngestHalf: Receive, Frame and Spool with the queues between them. What it accepts it can always
// bring to the disk; only the disk budget stops it.
#pragma once

#include <memory>
#include <vector>

#include "commands/egress_link.h"
#include "commands/lane_outbox.h"
#include "commands/queue_level.h"
#include "common/admin/conditions.h"
#include "common/config/config.h"
#include "common/net/connection_limits.h"
#include "common/net/rate_limiter.h"
#include "common/net/tcp_listener.h"
#include "common/pipeline/pipeline.h"
#include "common/platform/clock.h"
#include "common/spool/stream_directory.h"
#include "stages/books.h"
#include "stages/frame.h"
#include "stages/receive.h"
#include "stages/spool.h"

namespace sluice {

class IngestHalf {
 public:
  struct Parts {
    const Config& config;
    const Clock& clock;
    StreamDirectory& stream;
    Books& books;
    Conditions& conditions;
    const std::atomic<bool>& pause_reading;
    BoundedQueue<PreparedSegment>& prepared;
    EgressLink& egress;
    const LiveRatio& object_ratio;
  };
  IngestHalf(const Parts& parts, TcpListener listener);

  void start() { pipeline_.start(); }
  // Accepts nothing more, sends every connection's end down, seals. Does not wait.
  void stop();
  // Spool seals what it has. False: its queue is full, ask again.
  bool seal_now();
  // Of a thread that changed what Receive waits for (the watermark).
  void wake_receivers();

  [[nodiscard]] Pipeline& pipeline() { return pipeline_; }
  [[nodiscard]] const Pipeline& pipeline() const { return pipeline_; }
  [[nodiscard]] const TcpListener& listener() const { return listener_; }
  [[nodiscard]] std::uint32_t connections() const { return limits_.connections(); }
  [[nodiscard]] const MemoryBudget& memory() const { return memory_; }
  [[nodiscard]] std::vector<QueueLevel> queues() const;

 private:
  void build_receive(const Parts& parts, unsigned threads);
  void build_frame(const Parts& parts);
  void build_spool(const Parts& parts);
  void deliver(Reply reply);

  std::atomic<bool> draining_{false};
  // In the order of construction; the pipeline goes first when this dies.
  MemoryBudget memory_;
  ConnectionLimits limits_;
  std::unique_ptr<RateLimiter> rate_limiter_;
  TcpListener listener_;
  ReceiveShared shared_;
  std::vector<LaneOutbox::Lane> lanes_;
  LaneOutbox lane_outbox_;
  BoundedQueue<SpoolInput> batches_;
  QueueOutbox<SpoolInput> batch_outbox_;
  std::vector<std::unique_ptr<BoundedQueue<Reply>>> replies_;
  std::vector<std::unique_ptr<Receiver>> receivers_;
  std::vector<std::unique_ptr<Framer>> framers_;
  std::unique_ptr<Spooler> spooler_;
  EgressLink& egress_;
  Pipeline pipeline_{"ingest"};
};

}  // namespace sluice
