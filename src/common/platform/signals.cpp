#include "common/platform/signals.h"

#include <pthread.h>

#include <ctime>

namespace sluice {

SignalWaiter::SignalWaiter(std::initializer_list<int> signals) {
  sigemptyset(&set_);
  for (const int signal : signals) {
    sigaddset(&set_, signal);
  }
  pthread_sigmask(SIG_BLOCK, &set_, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

std::optional<int> SignalWaiter::wait_for(std::chrono::milliseconds timeout) const {
  const auto whole = std::chrono::duration_cast<std::chrono::seconds>(timeout);
  const timespec limit{whole.count(), std::chrono::nanoseconds(timeout - whole).count()};
  const int signal = sigtimedwait(&set_, nullptr, &limit);
  return signal > 0 ? std::optional<int>(signal) : std::nullopt;
}

}  // namespace sluice
