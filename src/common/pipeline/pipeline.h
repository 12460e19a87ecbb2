// Pipeline: one half of the process. Owns its threads, their names and heartbeats, the first
// error, and shutdown. It does not own the workers, which know nothing of threads.
//
// A worker is a concept, not a base class:
//   Status process(In item, Outbox<Out>& out);   one item; may push any number
//   Status finish(Outbox<Out>& out);             the input ended: put out what is left
// and, where it needs them:
//   Status on_idle(Outbox<Out>& out);            the input is empty right now
//   MonotonicTime wake_at() const;               call on_idle again by then, items or not
//   bool wants_input() const;                    false: leave the items where they are for now
//   bool finished() const;                       true: end the stage before its input does
//   void poll(MonotonicTime until);              waits in place of the queue (a poll set), with
//   void wake();                                 a thread-safe call that ends the wait
// A source has: Status run(Outbox<Out>& out, std::stop_token stop), and calls beat() of this file
// at every turn of its loop.
#pragma once

#include <atomic>
#include <concepts>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "common/base/result.h"
#include "common/base/units.h"
#include "common/pipeline/bounded_queue.h"
#include "common/pipeline/outbox.h"

namespace sluice {

template <class W, class In, class Out>
concept Worker = requires(W worker, In item, Outbox<Out>& out) {
  { worker.process(std::move(item), out) } -> std::same_as<Status>;
  { worker.finish(out) } -> std::same_as<Status>;
};

// One thread of a stage as /status shows it.
struct ThreadHealth {
  std::string name;
  std::atomic<std::int64_t> heartbeat_ns{0};  // steady clock, at the last turn of the loop
  std::atomic<bool> waiting{false};           // for an item or for room
  std::atomic<bool> ended{false};
};

// The health of the calling thread is fresh: a pipeline's thread is alive. Elsewhere nothing.
void beat();

class Pipeline {
 public:
  struct Failure {
    std::string stage;
    Error error;
  };

  explicit Pipeline(std::string name) : name_(std::move(name)) {}
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;
  // Cancels and joins what still runs.
  ~Pipeline();

  // A queue that cancel() must reach. The queue must outlive the pipeline.
  template <class T>
  void adopt(BoundedQueue<T>& queue) {
    cancels_.emplace_back([&queue] { queue.cancel(); });
  }

  // A thread that runs `worker` between `in` and `out`. When the last thread of the stages that
  // were added with the same `outlet` has ended, the outlet is closed.
  template <class In, class Out, class W>
  requires Worker<W, In, Out>
  void stage(std::string name, W& worker, BoundedQueue<In>& in, Outbox<Out>& out,
             std::shared_ptr<void> outlet);

  template <class Out, class S>
  void source(std::string name, S& source, Outbox<Out>& out, std::shared_ptr<void> outlet);

  // Call once, when the last of its holders is gone: what `stage` takes as `outlet`.
  static std::shared_ptr<void> closes(std::function<void()> close) {
    return {nullptr, [close = std::move(close)](void*) { close(); }};
  }

  void start();
  // Asks the sources to end; everything behind them drains by itself. Does not wait.
  void stop_sources();
  // Everyone returns at the next opportunity; items in queues are lost.
  void cancel();
  // Waits until every thread has ended.
  void join();

  [[nodiscard]] std::optional<Failure> first_failure() const;
  [[nodiscard]] bool ended() const;
  [[nodiscard]] const std::vector<std::unique_ptr<ThreadHealth>>& threads() const {
    return health_;
  }
  // Called once on the failing thread, right after the first failure was kept.
  void on_failure(std::function<void()> callback) { on_failure_ = std::move(callback); }

 private:
  using Body = std::function<Status(ThreadHealth&, std::stop_token)>;
  void add_thread(std::string name, Body body, std::shared_ptr<void> outlet);
  void run_thread(const Body& body, ThreadHealth& health);

  std::string name_;
  struct Planned {
    Body body;
    std::shared_ptr<void> outlet;
  };
  std::vector<Planned> planned_;
  std::vector<std::unique_ptr<ThreadHealth>> health_;
  std::vector<std::thread> threads_;
  std::vector<std::function<void()>> cancels_;
  std::stop_source stop_;
  std::function<void()> on_failure_;
  mutable std::mutex failure_mutex_;  // taken only when a stage fails
  std::optional<Failure> failure_;
  std::atomic<std::size_t> running_{0};
};

namespace detail {

template <class W>
MonotonicTime wake_time(const W& worker) {
  if constexpr (requires { worker.wake_at(); }) {
    return worker.wake_at();
  } else {
    return MonotonicTime::max();
  }
}

template <class W>
bool wants_input(const W& worker) {
  if constexpr (requires { worker.wants_input(); }) {
    return worker.wants_input();
  } else {
    return true;
  }
}

template <class W>
bool worker_finished(const W& worker) {
  if constexpr (requires { worker.finished(); }) {
    return worker.finished();
  } else {
    return false;
  }
}

// Waits for an item, the worker's own time, or the end; gives the item if there is one.
template <class W, class In>
std::optional<In> wait_for_input(W& worker, BoundedQueue<In>& in, ThreadHealth& health) {
  // A stage that has nothing to do still shows that it is alive.
  constexpr auto kHeartbeat = std::chrono::seconds(1);
  const MonotonicTime until =
      std::min(wake_time(worker), std::chrono::steady_clock::now() + kHeartbeat);
  health.waiting.store(true, std::memory_order_relaxed);
  std::optional<In> item;
  if constexpr (requires { worker.poll(until); }) {
    if (in.size() == 0 || !wants_input(worker)) {
      worker.poll(until);
    }
  } else if (wants_input(worker)) {
    item = in.pop_until(until);
  } else {
    std::this_thread::sleep_until(until);
  }
  health.waiting.store(false, std::memory_order_relaxed);
  return item;
}

// The loop of every stage thread.
template <class In, class Out, class W>
Status run_worker(W& worker, BoundedQueue<In>& in, Outbox<Out>& out, ThreadHealth& health) {
  std::optional<In> item;
  while (!in.cancelled()) {
    beat();
    if (!item && wants_input(worker)) {
      item = in.try_pop();
    }
    if (item) {
      if (Status status = worker.process(std::move(*item), out); !status) {
        return status;
      }
      item.reset();
      continue;
    }
    if constexpr (requires { worker.on_idle(out); }) {
      if (Status status = worker.on_idle(out); !status) {
        return status;
      }
    }
    if (worker_finished(worker) || (in.finished() && wants_input(worker))) {
      break;
    }
    item = wait_for_input(worker, in, health);
  }
  return in.cancelled() ? Status(cancelled()) : worker.finish(out);
}

}  // namespace detail

template <class In, class Out, class W>
requires Worker<W, In, Out>
void Pipeline::stage(std::string name, W& worker, BoundedQueue<In>& in, Outbox<Out>& out,
                     std::shared_ptr<void> outlet) {
  if constexpr (requires { worker.wake(); }) {
    in.set_item_listener([&worker] { worker.wake(); });
  }
  add_thread(
      std::move(name),
      [&worker, &in, &out](ThreadHealth& health, const std::stop_token&) {
        return detail::run_worker(worker, in, out, health);
      },
      std::move(outlet));
}

template <class Out, class S>
void Pipeline::source(std::string name, S& source, Outbox<Out>& out, std::shared_ptr<void> outlet) {
  add_thread(
      std::move(name),
      [&source, &out](ThreadHealth& /*health*/, std::stop_token stop) {
        return source.run(out, std::move(stop));
      },
      std::move(outlet));
}

}  // namespace sluice
