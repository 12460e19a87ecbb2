#include "common/net/event_poller.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "common/base/check.h"

namespace sluice {
namespace {

constexpr std::uint64_t kWakeToken = ~std::uint64_t{0};
constexpr int kEventsAtOnce = 256;

}  // namespace

EventPoller::EventPoller()
    : epoll_(::epoll_create1(EPOLL_CLOEXEC)), wake_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  CHECK_THAT(epoll_.valid() && wake_.valid());
  add(wake_.get(), kWakeToken);
}

void EventPoller::add(int fd, std::uint64_t token, bool exclusive) {
  epoll_event event{};
  event.events = EPOLLIN | (exclusive ? EPOLLEXCLUSIVE : 0U);
  event.data.u64 = token;
  CHECK_THAT(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0);
}

void EventPoller::want(int fd, std::uint64_t token, Interest interest) {
  epoll_event event{};
  event.events = (interest.reads ? EPOLLIN : 0U) | (interest.writes ? EPOLLOUT : 0U);
  event.data.u64 = token;
  CHECK_THAT(::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) == 0);
}

void EventPoller::remove(int fd) {
  (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);  // gone already: fine
}

std::span<const EventPoller::Event> EventPoller::wait(MonotonicTime until) {
  std::array<epoll_event, kEventsAtOnce> ready;
  int timeout_ms = -1;
  if (until != MonotonicTime::max()) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    timeout_ms = static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 60'000));
  }
  const int count = ::epoll_wait(epoll_.get(), ready.data(), kEventsAtOnce, timeout_ms);
  events_.clear();
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = ready[static_cast<std::size_t>(i)];
    if (event.data.u64 == kWakeToken) {
      std::uint64_t ignored = 0;
      (void)!::read(wake_.get(), &ignored, sizeof ignored);
      continue;
    }
    events_.push_back({event.data.u64, (event.events & EPOLLIN) != 0,
                       (event.events & EPOLLOUT) != 0,
                       (event.events & (EPOLLERR | EPOLLHUP)) != 0});
  }
  return events_;
}

void EventPoller::wake() {
  const std::uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof one);  // full: it is awake already
}

}  // namespace sluice
