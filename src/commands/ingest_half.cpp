#include "commands/ingest_half.h"

#include <string>

#include "commands/server_reports.h"

namespace sluice {

IngestHalf::IngestHalf(const Parts& parts, Listener& listener)
    : reception_({parts.config, parts.clock, parts.books, parts.pause_reading,
                  parts.own.ingest_memory_bytes},
                 listener),
      batches_(parts.config.queue_capacity),
      batch_outbox_(batches_),
      egress_(parts.egress) {
  reception_.add_to(pipeline_, parts.own.scope);
  build_frame(parts, listener.rate_limiter());
  build_spool(parts);
}

template <class Worker>
void IngestHalf::add_framer(const Parts& parts, std::size_t lane, Worker& framer,
                            const std::shared_ptr<void>& outlet) {
  pipeline_.stage(parts.own.scope + "frame-" + std::to_string(lane), framer, reception_.lane(lane),
                  batch_outbox_, outlet);
}

void IngestHalf::build_frame(const Parts& parts, RateLimiter* of_lines) {
  const Config& config = parts.config;
  FrameOptions options;
  options.limits.event_bytes_max = config.event_bytes_max;
  const LogFrameOptions log_options{.line_bytes_max = config.event_bytes_max,
                                    .least = config.log_level_min};
  auto outlet = Pipeline::closes([this] { batches_.close(); });
  for (std::size_t i = 0; i < reception_.lanes(); ++i) {
    if (parts.own.stream == Stream::xml) {
      framers_.push_back(std::make_unique<Framer>(options, parts.books));
      add_framer(parts, i, *framers_.back(), outlet);
    } else {
      log_framers_.push_back(std::make_unique<LogFramer>(
          log_options, LogFramer::Links{parts.clock, parts.books, of_lines}));
      add_framer(parts, i, *log_framers_.back(), outlet);
    }
  }
}

void IngestHalf::build_spool(const Parts& parts) {
  Spooler::Options options;
  options.segment_run_bytes = parts.config.segment_bytes_max;
  options.size_is_of_object = parts.config.file_size_basis == FileSizeBasis::object;
  options.segment_bytes_max = segment_file_bytes_max(parts.config);
  options.segment_age = parts.config.rotation_interval;
  options.sync_interval = parts.config.spool_sync_interval;
  options.sync_bytes = parts.config.spool_sync_bytes;
  options.disk_failure_timeout = parts.config.disk_failure_timeout;
  options.drain_patience = parts.config.drain_timeout / 2;
  spooler_ = std::make_unique<Spooler>(
      options, Spooler::Links{parts.stream, parts.prepared, parts.books, parts.conditions,
                              [this](Reply reply) { reception_.reply(std::move(reply)); },
                              parts.pause_reading, draining_, parts.object_ratio, parts.log});
  pipeline_.adopt(batches_);
  pipeline_.stage("spool-" + std::string(to_string(parts.own.stream)), *spooler_, batches_, egress_,
                  nullptr);
}

void IngestHalf::stop() {
  draining_.store(true);
  pipeline_.stop_sources();
}

std::vector<QueueLevel> IngestHalf::queues() const {
  std::vector<QueueLevel> levels = reception_.queues();
  levels.push_back({"spool", batches_.size(), batches_.capacity()});
  return levels;
}

}  // namespace sluice
