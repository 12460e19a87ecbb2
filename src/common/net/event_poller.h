// EventPoller: epoll for one thread, with a thread-safe wake().
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/base/units.h"
#include "common/platform/unique_fd.h"

namespace sluice {

class EventPoller {
 public:
  struct Event {
    std::uint64_t token = 0;
    bool readable = false;
    bool writable = false;
    bool broken = false;  // error or hang-up
  };

  EventPoller();

  // Level-triggered; reads are wanted. `exclusive`: one of several pollers that watch the same
  // descriptor wakes up.
  void add(int fd, std::uint64_t token, bool exclusive = false);
  struct Interest {
    bool reads = false;
    bool writes = false;
  };
  // Of a descriptor that was added, not exclusively: what is wanted of it from now on, both kinds.
  // One of which nothing is wanted still reports that it is broken.
  void want(int fd, std::uint64_t token, Interest interest);
  void remove(int fd);

  // Blocks until an event, wake() or `until`; the span is valid until the next call.
  std::span<const Event> wait(MonotonicTime until);
  // Thread-safe and sticky: a wake() before wait() ends that wait.
  void wake();

 private:
  UniqueFd epoll_;
  UniqueFd wake_;
  std::vector<Event> events_;
};

}  // namespace sluice
