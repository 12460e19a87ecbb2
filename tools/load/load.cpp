#include "load.h"

#include <netdb.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <limits>

#include "event_source.h"
#include "log_lines.h"
#include "rpc_requests.h"

namespace sluice::load {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kReconnectDelay{50};
constexpr int kRefusalsMax = 1200;  // a minute of them
constexpr milliseconds kTick{20};   // timeouts, retries and rates are looked at so often
constexpr milliseconds kProgressEvery{200};
constexpr std::uint64_t kNoEnd = std::numeric_limits<std::uint64_t>::max();

struct FreeAddress {
  void operator()(addrinfo* address) const { ::freeaddrinfo(address); }
};

std::unique_ptr<Source> make_source(const Options& options, Record& record) {
  switch (options.protocol) {
    case Protocol::xml:
      break;
    case Protocol::logs:
      return std::make_unique<LogLineSource>(options, record);
    case Protocol::rpc:
      return std::make_unique<RpcSource>(options, record);
  }
  return std::make_unique<EventSource>(options, record);
}

}  // namespace

Load::Load(const Options& options, const Links& links)
    : options_(options),
      run_{options,
           links.record,
           make_source(options, links.record),
           links.file,
           links.tls,
           links.token_line,
           Random(options.seed + 1),
           {},
           {},
           0,
           {}},
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      lanes_(options.connections),
      progress_(!options.quiet && ::isatty(STDERR_FILENO) != 0) {
  const std::string_view file = links.file;
  const bool endless = options.seconds && (!options.count || !file.empty());
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    if (endless) {
      lanes_[i].share = kNoEnd;
    } else if (!file.empty()) {
      lanes_[i].share = options.repeat;
    } else {
      lanes_[i].share = *options.count / lanes_.size() + (i < *options.count % lanes_.size());
    }
  }
  if (!endless) {
    total_events_ = file.empty() ? *options.count : options.repeat * lanes_.size();
  }
}

std::chrono::duration<double> Load::elapsed() const { return ended_at_ - started_at_; }

bool Load::run(const std::atomic<bool>& interrupted) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const std::string port = std::to_string(options_.port);
  if (const int error = ::getaddrinfo(options_.host.c_str(), port.c_str(), &hints, &found);
      error != 0) {
    run_.first_error = ::gai_strerror(error);
    return false;
  }
  const std::unique_ptr<addrinfo, FreeAddress> address(found);
  address_ = found;
  started_at_ = ended_at_ = progress_at_ = steady_clock::now();
  for (Lane& lane : lanes_) {
    open(lane);
  }
  std::array<epoll_event, 256> ready{};
  while (std::any_of(lanes_.begin(), lanes_.end(), [](const Lane& lane) { return !lane.done; })) {
    const int count = ::epoll_wait(epoll_.get(), ready.data(), ready.size(), wait_ms());
    for (int i = 0; i < count; ++i) {
      Lane& lane = lanes_[ready[static_cast<std::size_t>(i)].data.u64];
      if (lane.connection) {
        lane.connection->on_ready(ready[static_cast<std::size_t>(i)].events);
      }
    }
    const auto now = steady_clock::now();
    if (!stopping_ &&
        (interrupted || (options_.seconds && now - started_at_ >= *options_.seconds))) {
      stop_all();
    }
    tend_lanes();
    show_progress(false);
  }
  ended_at_ = steady_clock::now();
  show_progress(true);
  return true;
}

void Load::open(Lane& lane) {
  lane.connection = std::make_unique<Connection>(run_, *address_, lane.share);
  if (options_.rate == 0) {
    lane.connection->grant(lane.share);
  }
  if (lane.connection->state() == Connection::State::ended) {
    return;
  }
  lane.interest = lane.connection->interest();
  epoll_event event{};
  event.events = lane.interest;
  event.data.u64 = static_cast<std::uint64_t>(&lane - lanes_.data());
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, lane.connection->fd(), &event);
}

int Load::wait_ms() const {
  if (options_.rate > 0 && !stopping_) {
    return 1;
  }
  return static_cast<int>(kTick.count());
}

// Events fall due at a rate (a burst at a time) and go round the connections.
void Load::grant_by_rate() {
  const std::chrono::duration<double> elapsed = steady_clock::now() - started_at_;
  const double bursts_due = elapsed.count() * options_.rate / static_cast<double>(options_.burst);
  const std::uint64_t due = (static_cast<std::uint64_t>(bursts_due) + 1) * options_.burst;
  std::size_t passed = 0;  // lanes in a row that take none
  while (granted_ < due && passed < lanes_.size()) {
    Lane& lane = lanes_[next_lane_];
    next_lane_ = (next_lane_ + 1) % lanes_.size();
    if (!lane.connection || !lane.connection->wants_grant()) {
      ++passed;
      continue;
    }
    lane.connection->grant(1);
    ++granted_;
    passed = 0;
  }
}

void Load::update_interest(Lane& lane) {
  const std::uint32_t wanted = lane.connection->interest();
  if (wanted == lane.interest) {
    return;
  }
  lane.interest = wanted;
  epoll_event event{};
  event.events = wanted;
  event.data.u64 = static_cast<std::uint64_t>(&lane - lanes_.data());
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, lane.connection->fd(), &event);
}

// A connection has ended: the lane is done, or goes on with another one.
void Load::after_end(Lane& lane) const {
  lane.share = lane.connection->share_left();
  lane.refusals = lane.connection->reached_server() ? 0 : lane.refusals + 1;
  lane.connection.reset();
  if (!options_.reconnect || stopping_ || lane.share == 0 || lane.refusals > kRefusalsMax) {
    lane.done = true;
    return;
  }
  lane.retry_at = steady_clock::now() + kReconnectDelay;
}

void Load::tend_lanes() {
  if (options_.rate > 0 && !stopping_) {
    grant_by_rate();
  }
  const auto now = steady_clock::now();
  for (Lane& lane : lanes_) {
    if (lane.done) {
      continue;
    }
    if (!lane.connection) {
      if (stopping_) {
        lane.done = true;
      } else if (now >= lane.retry_at) {
        open(lane);
      }
      continue;
    }
    Connection& connection = *lane.connection;
    if (connection.waits_for_server() &&
        now - connection.last_progress_at() > options_.fin_timeout) {
      connection.give_up();
    }
    if (connection.state() == Connection::State::ended) {
      after_end(lane);
    } else {
      update_interest(lane);
    }
  }
}

void Load::stop_all() {
  stopping_ = true;
  for (Lane& lane : lanes_) {
    if (lane.connection) {
      lane.connection->stop();
    }
  }
}

void Load::show_progress(bool last) {
  const auto now = steady_clock::now();
  if (!progress_ || (!last && now - progress_at_ < kProgressEvery)) {
    return;
  }
  progress_at_ = now;
  const std::chrono::duration<double> elapsed = now - started_at_;
  double done = 0;
  if (total_events_ > 0) {
    done = static_cast<double>(run_.totals.events) / static_cast<double>(total_events_);
  } else if (options_.seconds) {
    done = std::min(1.0, elapsed / *options_.seconds);
  }
  constexpr int kWidth = 30;
  const int filled = static_cast<int>(done * kWidth);
  std::string bar(static_cast<std::size_t>(filled), '#');
  bar.resize(kWidth, '.');
  std::fprintf(stderr, "\r[%s] %3.0f %%  %llu events  %.1f MB/s ", bar.c_str(), done * 100,
               static_cast<unsigned long long>(run_.totals.events),
               static_cast<double>(run_.totals.bytes) / 1e6 / std::max(elapsed.count(), 1e-3));
  if (last) {
    std::fputs("\n", stderr);
  }
}

}  // namespace sluice::load
