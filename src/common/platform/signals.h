// Signals as events: blocked in every thread, taken by the one that waits for them.
#pragma once

#include <chrono>
#include <csignal>
#include <initializer_list>
#include <optional>

namespace sluice {

class SignalWaiter {
 public:
  // Blocks `signals` in this thread and in those it starts from now on: construct it first.
  // SIGPIPE is ignored: a write to a closed socket is an error code here.
  explicit SignalWaiter(std::initializer_list<int> signals);

  // The next signal, or nothing after `timeout`. Blocks.
  [[nodiscard]] std::optional<int> wait_for(std::chrono::milliseconds timeout) const;

 private:
  sigset_t set_{};
};

}  // namespace sluice
