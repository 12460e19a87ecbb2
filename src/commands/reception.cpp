#include "commands/reception.h"

#include <algorithm>
#include <thread>

#include "common/base/check.h"

namespace sluice {
namespace {

// What the last half-read event may need: itself twice (a chain of half-full slabs), and what is
// in flight. docs/architecture.md, "Memory".
std::size_t reserve_bytes(const Config& config, std::uint64_t memory_bytes) {
  const std::uint64_t wanted = 2 * config.event_bytes_max + 512 * kKiB;
  return std::min<std::uint64_t>(wanted, memory_bytes / 2);
}

ReceiverOptions receiver_options(const Reception::Parts& parts, Protocol protocol, unsigned index) {
  const Config& config = parts.config;
  ReceiverOptions options;
  options.protocol = protocol;
  options.index = index;
  // Small budgets get small slabs, so that the one that a thread fills never is most of it.
  options.slab_bytes = std::clamp<std::uint64_t>(parts.memory_bytes / 64, 16 * kKiB, 256 * kKiB);
  options.read_bytes_max = options.slab_bytes / 2;
  if (protocol == Protocol::logs) {
    options.read_bytes_max =
        std::min<std::uint64_t>(options.read_bytes_max, config.logs_read_bytes_max);
  }
  options.privileged_read_bytes = std::min<std::size_t>(options.slab_bytes, 32 * kKiB);
  options.document_timeout = config.document_timeout;
  options.handshake_timeout = config.handshake_timeout;
  options.reply_timeout = config.reply_timeout;
  options.receive_rate_min = config.receive_rate_min;
  options.drain_timeout = config.drain_timeout;
  return options;
}

// Room in a queue of replies: Spool never waits for Receive.
std::size_t replies_max(const Config& config, Protocol protocol) {
  const std::size_t a_connection = protocol == Protocol::xml ? 2 : 2 * kAnsweredChunksMax + 2;
  return a_connection * config.connections_max + 16;
}

}  // namespace

Reception::Reception(const Parts& parts, Listener& listener)
    : memory_(parts.memory_bytes, reserve_bytes(parts.config, parts.memory_bytes)),
      shared_{parts.clock, parts.books, memory_, listener.limits(), parts.pause_reading},
      lane_outbox_(lanes_) {
  const ThreadCounts threads = thread_counts(parts.config, std::thread::hardware_concurrency());
  shared_.rules = &listener.rules();
  if (parts.config.accept_rate_max > 0) {
    shared_.accept_rate = &listener.accept_rate();
  }
  if (listener.protocol() == Protocol::xml) {
    shared_.rate_limiter = listener.rate_limiter();  // of logs it is Frame's
  }
  for (unsigned i = 0; i < threads.frame; ++i) {
    lanes_.push_back(std::make_unique<BoundedQueue<Chunk>>(parts.config.queue_capacity));
    lanes_.back()->set_space_listener([this] { wake(); });
  }
  const Protocol protocol = listener.protocol();
  for (unsigned i = 0; i < threads.receive; ++i) {
    replies_.push_back(std::make_unique<BoundedQueue<Reply>>(replies_max(parts.config, protocol)));
    receivers_.push_back(std::make_unique<Receiver>(receiver_options(parts, protocol, i), shared_,
                                                    listener.sockets(), *replies_[i]));
  }
}

void Reception::add_to(Pipeline& pipeline, const std::string& scope) {
  // The last receiver to end closes all lanes.
  auto outlet = Pipeline::closes([this] {
    for (auto& lane : lanes_) {
      lane->close();
    }
  });
  for (auto& lane : lanes_) {
    pipeline.adopt(*lane);
  }
  for (std::size_t i = 0; i < receivers_.size(); ++i) {
    pipeline.adopt(*replies_[i]);
    pipeline.source(scope + "receive-" + std::to_string(i), *receivers_[i], lane_outbox_, outlet);
  }
}

void Reception::reply(Reply reply) {
  BoundedQueue<Reply>& queue = *replies_[reply.connection->receiver];
  CHECK_THAT(queue.try_push(reply) || queue.finished());
}

void Reception::wake() {
  for (auto& receiver : receivers_) {
    receiver->wake();
  }
}

std::vector<QueueLevel> Reception::queues() const {
  std::vector<QueueLevel> levels;
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    levels.push_back({"frame-" + std::to_string(i), lanes_[i]->size(), lanes_[i]->capacity()});
  }
  return levels;
}

}  // namespace sluice
