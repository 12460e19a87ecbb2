// IngestHalf: Receive, Frame and Spool of one stream with the queues between them. What it accepts
// it can always bring to the disk; only the disk budget stops it.
#pragma once

#include <memory>
#include <vector>

#include "commands/egress_link.h"
#include "commands/queue_level.h"
#include "commands/reception.h"
#include "common/admin/conditions.h"
#include "common/config/config.h"
#include "common/config/stream_config.h"
#include "common/pipeline/pipeline.h"
#include "common/platform/clock.h"
#include "common/spool/stream_directory.h"
#include "stages/books.h"
#include "stages/frame.h"
#include "stages/frame_logs.h"
#include "stages/spool.h"

namespace sluice {

class IngestHalf {
 public:
  struct Parts {
    const Config& config;
    const StreamConfig& own;
    const Clock& clock;
    StreamDirectory& stream;
    Books& books;
    Conditions& conditions;
    const std::atomic<bool>& pause_reading;
    BoundedQueue<PreparedSegment>& prepared;
    EgressLink& egress;
    const LiveRatio& object_ratio;
    SpoolLog* log;  // none: no log file
  };
  // `listener` outlives it.
  IngestHalf(const Parts& parts, Listener& listener);

  void start() { pipeline_.start(); }
  // Accepts nothing more, sends every connection's end down, seals. Does not wait.
  void stop();
  // Hands a request to Spool, which it takes. False: its queue is full, ask again.
  bool ask(SpoolInput& request) { return batches_.try_push(request); }
  // Of a thread that changed what Receive waits for (the watermark).
  void wake_receivers() { reception_.wake(); }

  [[nodiscard]] Pipeline& pipeline() { return pipeline_; }
  [[nodiscard]] const Pipeline& pipeline() const { return pipeline_; }
  [[nodiscard]] const MemoryBudget& memory() const { return reception_.memory(); }
  [[nodiscard]] std::vector<QueueLevel> queues() const;

 private:
  void build_frame(const Parts& parts, RateLimiter* of_lines);
  template <class Worker>
  void add_framer(const Parts& parts, std::size_t lane, Worker& framer,
                  const std::shared_ptr<void>& outlet);
  void build_spool(const Parts& parts);

  std::atomic<bool> draining_{false};
  // In the order of construction; the pipeline goes first when this dies.
  Reception reception_;
  BoundedQueue<SpoolInput> batches_;
  QueueOutbox<SpoolInput> batch_outbox_;
  std::vector<std::unique_ptr<Framer>> framers_;
  std::vector<std::unique_ptr<LogFramer>> log_framers_;
  std::unique_ptr<Spooler> spooler_;
  EgressLink& egress_;
  Pipeline pipeline_{"ingest"};
};

}  // namespace sluice
