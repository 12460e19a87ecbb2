#include "commands/ingest_half.h"

#include <algorithm>
#include <string>
#include <thread>

#include "commands/server_reports.h"
#include "common/base/check.h"

namespace sluice {
namespace {

// What the last half-read event may need: itself twice (a chain of half-full slabs), and what is
// in flight. docs/architecture.md, "Memory".
std::size_t reserve_bytes(const Config& config, const StreamConfig& own) {
  const std::uint64_t wanted = 2 * config.event_bytes_max + 512 * kKiB;
  return std::min<std::uint64_t>(wanted, own.ingest_memory_bytes / 2);
}

ReceiverOptions receiver_options(const Config& config, const StreamConfig& own, unsigned index) {
  ReceiverOptions options;
  options.index = index;
  // Small budgets get small slabs, so that the one that a thread fills never is most of it.
  options.slab_bytes =
      std::clamp<std::uint64_t>(own.ingest_memory_bytes / 64, 16 * kKiB, 256 * kKiB);
  options.read_bytes_max = options.slab_bytes / 2;
  options.privileged_read_bytes = std::min<std::size_t>(options.slab_bytes, 32 * kKiB);
  options.document_timeout = config.document_timeout;
  options.drain_timeout = config.drain_timeout;
  return options;
}

}  // namespace

IngestHalf::IngestHalf(const Parts& parts, TcpListener listener)
    : memory_(parts.own.ingest_memory_bytes, reserve_bytes(parts.config, parts.own)),
      limits_({static_cast<std::uint32_t>(parts.config.connections_max),
               static_cast<std::uint32_t>(parts.config.connections_per_ip_max)}),
      listener_(std::move(listener)),
      shared_{parts.clock, parts.books, memory_, limits_, parts.pause_reading},
      lane_outbox_(lanes_),
      batches_(parts.config.queue_capacity),
      batch_outbox_(batches_),
      egress_(parts.egress) {
  const ThreadCounts threads = thread_counts(parts.config, std::thread::hardware_concurrency());
  if (parts.config.rate_limit_enabled) {
    rate_limiter_ = std::make_unique<RateLimiter>(
        RateLimiter::Limit{parts.config.rate_limit_events_max, parts.config.rate_limit_window});
    shared_.rate_limiter = rate_limiter_.get();
  }
  for (unsigned i = 0; i < threads.frame; ++i) {
    lanes_.push_back(std::make_unique<BoundedQueue<Chunk>>(parts.config.queue_capacity));
  }
  build_receive(parts, threads.receive);
  build_frame(parts);
  build_spool(parts);
}

void IngestHalf::build_receive(const Parts& parts, unsigned threads) {
  // The last receiver to end closes all lanes.
  auto outlet = Pipeline::closes([this] {
    for (auto& lane : lanes_) {
      lane->close();
    }
  });
  for (unsigned i = 0; i < threads; ++i) {
    // Room for the end of every connection: Spool never waits for Receive.
    replies_.push_back(
        std::make_unique<BoundedQueue<Reply>>(2 * parts.config.connections_max + 16));
    receivers_.push_back(std::make_unique<Receiver>(receiver_options(parts.config, parts.own, i),
                                                    shared_, listener_, *replies_[i]));
    pipeline_.adopt(*replies_[i]);
    pipeline_.source(parts.own.scope + "receive-" + std::to_string(i), *receivers_[i], lane_outbox_,
                     outlet);
  }
}

void IngestHalf::build_frame(const Parts& parts) {
  FrameOptions options;
  options.limits.event_bytes_max = parts.config.event_bytes_max;
  auto outlet = Pipeline::closes([this] { batches_.close(); });
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    framers_.push_back(std::make_unique<Framer>(options, parts.books));
    lanes_[i]->set_space_listener([this] { wake_receivers(); });
    pipeline_.adopt(*lanes_[i]);
    pipeline_.stage(parts.own.scope + "frame-" + std::to_string(i), *framers_[i], *lanes_[i],
                    batch_outbox_, outlet);
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
                              [this](Reply reply) { deliver(std::move(reply)); },
                              parts.pause_reading, draining_, parts.object_ratio});
  pipeline_.adopt(batches_);
  pipeline_.stage("spool-" + std::string(to_string(parts.own.stream)), *spooler_, batches_, egress_,
                  nullptr);
}

void IngestHalf::deliver(Reply reply) {
  BoundedQueue<Reply>& queue = *replies_[reply.connection->receiver];
  // It has room for every connection's end; refused only where everything is being cancelled.
  CHECK_THAT(queue.try_push(reply) || queue.finished());
}

void IngestHalf::stop() {
  draining_.store(true);
  pipeline_.stop_sources();
}

bool IngestHalf::seal_now() {
  SpoolInput request(SealNow{});
  return batches_.try_push(request);
}

void IngestHalf::wake_receivers() {
  for (auto& receiver : receivers_) {
    receiver->wake();
  }
}

std::vector<QueueLevel> IngestHalf::queues() const {
  std::vector<QueueLevel> levels;
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    levels.push_back({"frame-" + std::to_string(i), lanes_[i]->size(), lanes_[i]->capacity()});
  }
  levels.push_back({"spool", batches_.size(), batches_.capacity()});
  return levels;
}

}  // namespace sluice
