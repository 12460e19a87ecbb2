// A Receiver over real sockets on loopback, on a thread of its own; the test stands where Frame and
// Spool are.
#pragma once

#include <doctest/doctest.h>

#include <functional>
#include <thread>

#include "loopback_client.h"
#include "stages/receive.h"
#include "test_clock.h"

namespace sluice {

using namespace std::chrono_literals;

// The real clock, which Receive reads in every turn.
struct CountingClock final : Clock {
  [[nodiscard]] MonotonicTime now() const override {
    looks.fetch_add(1);
    return clock.now();
  }
  [[nodiscard]] WallTime wall_now() const override { return clock.wall_now(); }
  void advance(std::chrono::nanoseconds by) { clock.advance(by); }
  OffsetClock clock;
  mutable std::atomic<std::uint64_t> looks{0};
};

struct QueueLane final : Outbox<Chunk> {
  explicit QueueLane(std::size_t capacity) : queue(capacity) {}
  bool push(Chunk chunk) override { return queue.push(std::move(chunk)); }
  bool try_push(Chunk& chunk) override { return queue.try_push(chunk); }
  BoundedQueue<Chunk> queue;
};

// A receiver on a thread of its own, and what stands around it.
struct Running {
  struct Setup {
    std::size_t ingest_bytes = 4 * kMiB;
    std::size_t reserve_bytes = 0;
    std::size_t lane_capacity = 1024;
    ConnectionLimits::Limits limits{100, 0};
    ReceiverOptions receiver;
    ListenerRulesPtr rules = nullptr;
  };
  Running() : Running(Setup()) {}
  explicit Running(const Setup& setup)
      : ingest(setup.ingest_bytes, setup.reserve_bytes),
        limits(setup.limits),
        rules(setup.rules == nullptr ? std::make_shared<const ListenerRules>() : setup.rules),
        listener(std::move(*TcpListener::listen("127.0.0.1", 0))),
        lane(setup.lane_capacity),
        receiver(setup.receiver, shared, {&listener, 1}, replies) {
    lane.queue.set_space_listener([this] { receiver.wake(); });
    thread =
        std::jthread([this](const std::stop_token& stop) { CHECK(receiver.run(lane, stop).ok()); });
  }
  ~Running() {
    lane.queue.cancel();
    replies.cancel();
  }

  std::optional<Chunk> next() {
    return lane.queue.pop_until(std::chrono::steady_clock::now() + 20s);
  }
  bool next_within(std::chrono::milliseconds time) {
    return lane.queue.pop_until(std::chrono::steady_clock::now() + time).has_value();
  }
  // Chunks until one has an end; the bytes of all.
  std::string read_to_end(Chunk& last) {
    std::string bytes;
    while (auto chunk = next()) {
      bytes += chunk->bytes.text();
      if (chunk->end != ConnectionEnd::open) {
        last = std::move(*chunk);
        return bytes;
      }
    }
    return bytes;
  }
  void answer(const Chunk& last, bool durable) {
    CHECK(replies.push({last.connection, {}, last.end, durable, {}, {}}));
  }
  // What Spool does with a chunk of which all lines are kept, or with some of them.
  void reply(Chunk& chunk, std::string bytes) {
    CHECK(replies.push({chunk.connection,
                        std::move(bytes),
                        ConnectionEnd::open,
                        true,
                        {},
                        std::move(chunk.in_flight)}));
  }
  // Until it holds; false after 20 s.
  static bool wait_until(const std::function<bool()>& holds) {
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    while (!holds() && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::yield();
    }
    return holds();
  }
  // A turn of the loop: a probe that is answered proves it.
  void turn() {
    receiver.wake();
    LoopbackClient probe = client();
    probe.finish();
    CHECK(probe.ending() == LoopbackClient::Ending::fin);
  }
  // The same where a probe would be no more let in than others.
  void turn_of_nobody() {
    const std::uint64_t before = clock.looks.load();
    CHECK(wait_until([&] {
      receiver.wake();
      return clock.looks.load() > before + 6;
    }));
  }
  LoopbackClient client() const { return LoopbackClient(listener.port()); }

  CountingClock clock;
  Books books;
  MemoryBudget ingest;
  ConnectionLimits limits;
  std::atomic<bool> pause_reading{false};
  ListenerRulesHolder rules;
  ReceiveShared shared{clock, books, ingest, limits, pause_reading, nullptr, &rules};
  TcpListener listener;
  QueueLane lane;
  BoundedQueue<Reply> replies{200};
  Receiver receiver;
  std::jthread thread;
};

}  // namespace sluice
