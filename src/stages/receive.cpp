#include "stages/receive.h"

#include <algorithm>
#include <new>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/log/log.h"
#include "common/pipeline/pipeline.h"

namespace sluice {
namespace {

constexpr std::uint64_t kListenerToken = 0;  // connection ids begin at 1
constexpr std::size_t kReadBytesMin = 16 * kKiB;
constexpr auto kSweepInterval = std::chrono::seconds(1);
// What passed beyond this between two sweeps was not spent reading: the process was stopped.
constexpr MonotonicTime::duration kSweepCountedMax = 2 * kSweepInterval;
constexpr auto kStallLookInterval = std::chrono::milliseconds(50);
constexpr auto kAcceptPause = std::chrono::milliseconds(100);

double seconds(std::chrono::nanoseconds duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

Receiver::Receiver(ReceiverOptions options, ReceiveShared& shared, TcpListener& listener,
                   BoundedQueue<Reply>& replies)
    : options_(options), shared_(shared), listener_(listener), replies_(replies) {
  replies_.set_item_listener([this] { poller_.wake(); });
  shared_.ingest.add_release_listener([this] { wake(); });
}

void Receiver::wake() {
  woken_.store(true);
  poller_.wake();
}

Status Receiver::run(Outbox<Chunk>& lanes, const std::stop_token& stop) {
  lanes_ = &lanes;
  const std::stop_callback wake_on_stop(stop, [this] { poller_.wake(); });
  poller_.add(listener_.fd(), kListenerToken, true);
  swept_at_ = shared_.clock.now();
  while (!stop.stop_requested()) {
    beat();
    for (const auto& event : poller_.wait(next_wake(shared_.clock.now()))) {
      if (event.token == kListenerToken) {
        accept_waiting();
      } else if (auto found = feeds_.find(event.token); found != feeds_.end()) {
        on_readable(found->second);
      }
    }
    take_replies();
    sweep(shared_.clock.now());
    resume_stalled();
  }
  poller_.remove(listener_.fd());
  end_all_feeds();
  const MonotonicTime deadline = shared_.clock.now() + options_.drain_timeout;
  while (!feeds_.empty() && !replies_.cancelled() && shared_.clock.now() < deadline) {
    beat();
    for (const auto& event : poller_.wait(shared_.clock.now() + kStallLookInterval)) {
      if (auto found = feeds_.find(event.token); found != feeds_.end()) {
        on_readable(found->second);  // broken: watched no more
      }
    }
    take_replies();
    resume_stalled();
  }
  reset_all_feeds();
  slab_.reset();
  return {};
}

MonotonicTime Receiver::next_wake(MonotonicTime now) const {
  MonotonicTime wake = swept_at_ + kSweepInterval;
  if (!stalled_.empty()) {
    wake = std::min(wake, now + kStallLookInterval);
  }
  if (accept_paused_until_) {
    wake = std::min(wake, *accept_paused_until_);
  }
  return woken_.load() ? now : wake;
}

void Receiver::accept_waiting() {
  // A bounded turn: established connections get theirs in between.
  constexpr int kAcceptsPerTurn = 64;
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    auto outcome = listener_.accept(options_.keepalive);
    if (auto* accepted = std::get_if<TcpListener::Accepted>(&outcome)) {
      admit(std::move(*accepted));
      continue;
    }
    const auto fault = std::get<TcpListener::AcceptFault>(outcome);
    if (fault == TcpListener::AcceptFault::out_of_descriptors) {
      log::limited(log::Level::error, "accept paused",
                   {{"reason", "out of file descriptors"},
                    {"advice",
                     "raise the limit of open files (LimitNOFILE) or lower "
                     "MAX_CONNECTIONS"}});
      poller_.remove(listener_.fd());
      accept_paused_until_ = shared_.clock.now() + kAcceptPause;
    }
    if (fault != TcpListener::AcceptFault::transient) {
      return;
    }
  }
}

void Receiver::admit(TcpListener::Accepted accepted) {
  const MonotonicTime now = shared_.clock.now();
  const auto admission = shared_.limits.open(accepted.peer, now);
  if (!admission.admitted) {
    shared_.books.connections_refused.fetch_add(1, std::memory_order_relaxed);
    log::limited(log::Level::warning, "connection refused",
                 {{"peer", to_string(accepted.peer)}, {"limit", admission.refused_by}});
    accepted.socket.close_with_reset();
    return;
  }
  auto connection = std::make_shared<Connection>();
  connection->id = shared_.last_id.fetch_add(1) + 1;
  connection->peer = accepted.peer;
  connection->receiver = options_.index;
  connection->opened_at = now;
  shared_.books.connections_opened.fetch_add(1, std::memory_order_relaxed);
  log::info("connection opened", {{"peer", to_string(accepted.peer)},
                                  {"connection", connection->id},
                                  {"gap_seconds", admission.gap ? seconds(*admission.gap) : -1.0}});
  Feed& feed = feeds_[connection->id];
  feed.connection = std::move(connection);
  feed.socket = std::move(accepted.socket);
  feed.watched = true;
  poller_.add(feed.socket.fd(), feed.connection->id);
}

void Receiver::on_readable(Feed& feed) {
  if (feed.end != ConnectionEnd::open || feed.stall != Stall::none) {
    // Broken while nothing is read from it: looked at again when it is resumed.
    if (feed.socket.open() && feed.watched) {
      poller_.remove(feed.socket.fd());
      feed.watched = false;
    }
    return;
  }
  read_turn(feed);
}

void Receiver::read_turn(Feed& feed) {
  std::size_t left = options_.read_bytes_per_turn;
  while (left > 0 && feed.end == ConnectionEnd::open && feed.stall == Stall::none) {
    if (feed.connection->refuse.load(std::memory_order_relaxed)) {
      return end_feed(feed, ConnectionEnd::refused);
    }
    if (shared_.pause_reading.load(std::memory_order_relaxed)) {
      return stall(feed, Stall::disk);
    }
    auto room = make_room(feed);
    if (!room) {
      return stall(feed, Stall::memory);
    }
    const std::size_t room_bytes = room->memory.size();
    const ReadOutcome outcome = feed.socket.read(room->memory.writable());
    switch (outcome.kind) {
      case ReadOutcome::Kind::would_block:
        return;
      case ReadOutcome::Kind::finished:
        return end_feed(feed, ConnectionEnd::finished);
      case ReadOutcome::Kind::reset:
        return end_feed(feed, ConnectionEnd::reset);
      case ReadOutcome::Kind::bytes:
        break;
    }
    feed.bytes += outcome.bytes;
    shared_.books.bytes_received.fetch_add(outcome.bytes, std::memory_order_relaxed);
    if (room->from_slab) {
      slab_.remove_prefix(outcome.bytes);
    }
    room->memory.truncate(outcome.bytes);
    room->carry.shrink_to(outcome.bytes);
    deliver(feed, {feed.connection, std::move(room->memory), std::move(room->carry),
                   shared_.clock.wall_now(), ConnectionEnd::open, InFlight(feed.connection)});
    left -= std::min(left, outcome.bytes);
    if (outcome.bytes < room_bytes) {
      return;  // the socket is most likely empty; the poller tells if it is not
    }
  }
}

// The machine may have less memory than the budget: that is waited for as room in the budget is.
std::optional<Receiver::Room> Receiver::make_room(const Feed& feed) {
  try {
    return allocate_room(feed);
  } catch (const std::bad_alloc&) {
    log::limited(log::Level::error, "out of memory",
                 {{"advice", "reading waits; lower MEMORY_MAX_BYTES or give the process more"}});
    return std::nullopt;
  }
}

std::optional<Receiver::Room> Receiver::allocate_room(const Feed& feed) {
  if (slab_.size() < std::min(kReadBytesMin, options_.slab_bytes)) {
    auto charge = shared_.ingest.try_charge(options_.slab_bytes);
    if (!charge) {
      return make_privileged_room(feed);
    }
    slab_ = Buffer::allocate(options_.slab_bytes, std::move(*charge));
  }
  const std::size_t bytes = std::min(slab_.size(), options_.read_bytes_max);
  auto carry = shared_.ingest.try_charge(bytes);
  if (!carry) {
    return make_privileged_room(feed);
  }
  return Room{slab_.share(0, bytes), std::move(*carry), true};
}

std::optional<Receiver::Room> Receiver::make_privileged_room(const Feed& feed) {
  const ConnectionId id = feed.connection->id;
  ConnectionId holder = shared_.privileged.load();
  if (holder != 0 && holder != id) {
    return std::nullopt;
  }
  const std::size_t bytes = options_.privileged_read_bytes;
  // Both at once, and before the privilege: whatever is given back here wakes those who wait, us
  // among them, for ever.
  auto charge = shared_.ingest.try_charge_reserve(2 * bytes);
  if (!charge) {
    return std::nullopt;  // what is in flight comes back first
  }
  if (holder == 0 && !shared_.privileged.compare_exchange_strong(holder, id)) {
    return std::nullopt;  // another thread's connection was faster
  }
  privileged_here_ = id;
  Charge carry = charge->split(bytes);
  return Room{Buffer::allocate(bytes, std::move(*charge)), std::move(carry), false};
}

void Receiver::release_privilege() {
  if (privileged_here_ == 0) {
    return;
  }
  const auto found = feeds_.find(privileged_here_);
  if (found != feeds_.end()) {
    const Connection& connection = *found->second.connection;
    if (connection.chunks_in_flight.load() != 0 || connection.bytes_framing.load() != 0) {
      return;
    }
  }
  privileged_here_ = 0;
  shared_.privileged.store(0);
  woken_.store(true);
}

void Receiver::deliver(Feed& feed, Chunk chunk) {
  if (!lanes_->try_push(chunk)) {
    feed.pending = std::move(chunk);
    stall(feed, Stall::lane);
  }
  if (feed.stall != Stall::none) {
    return;
  }
  if (const auto until = count_events(feed)) {
    feed.resume_at = *until;
    stall(feed, Stall::rate);
  }
}

// Against the rate limit, what Frame has found since the last look; when its window ends if the
// limit is used up.
std::optional<MonotonicTime> Receiver::count_events(Feed& feed) {
  if (shared_.rate_limiter == nullptr) {
    return std::nullopt;
  }
  const std::uint64_t events = feed.connection->events.load(std::memory_order_relaxed);
  return shared_.rate_limiter
      ->count(RateLimiter::key_of(feed.connection->peer),
              events - std::exchange(feed.events_counted, events), shared_.clock.now())
      .used_up_until;
}

void Receiver::end_feed(Feed& feed, ConnectionEnd end) {
  feed.end = end;
  if (feed.watched) {
    poller_.remove(feed.socket.fd());
    feed.watched = false;
  }
  if (end == ConnectionEnd::reset) {
    feed.socket.close_with_reset();
  }
  Chunk last;
  last.connection = feed.connection;
  last.received_at = shared_.clock.wall_now();
  last.end = end;
  last.in_flight = InFlight(feed.connection);
  if (feed.bytes == 0) {
    // Nothing of it went down, so nothing has to become durable before the answer.
    Reply reply{feed.connection, {}, end, true};
    CHECK_THAT(replies_.try_push(reply) || replies_.cancelled());
    return;
  }
  if (!lanes_->try_push(last)) {
    feed.pending = std::move(last);
    stall(feed, Stall::lane);
  }
}

void Receiver::stall(Feed& feed, Stall why) {
  if (feed.stall == Stall::none) {
    stalled_.push_back(feed.connection->id);
  }
  feed.stall = why;
  if (feed.watched) {
    poller_.want(feed.socket.fd(), feed.connection->id, {.reads = false});
  }
}

void Receiver::resume_stalled() {
  woken_.store(false);
  release_privilege();
  // Each is looked at once; those that stay stalled keep their order.
  for (std::size_t looks = stalled_.size(); looks > 0; --looks) {
    const ConnectionId id = stalled_.front();
    stalled_.pop_front();
    const auto found = feeds_.find(id);
    if (found != feeds_.end() && !resume(found->second)) {
      stalled_.push_back(id);
    }
  }
}

// True when the feed is stalled no more, or stalled anew (and in the line again).
bool Receiver::resume(Feed& feed) {
  switch (feed.stall) {
    case Stall::lane:
      if (!lanes_->try_push(*feed.pending)) {
        return false;
      }
      feed.pending.reset();
      break;
    case Stall::disk:
      if (shared_.pause_reading.load(std::memory_order_relaxed)) {
        return false;
      }
      break;
    case Stall::rate:
      if (shared_.clock.now() < feed.resume_at) {
        return false;
      }
      break;
    case Stall::memory:
    case Stall::none:
      break;
  }
  feed.stall = Stall::none;
  if (feed.end != ConnectionEnd::open) {
    return true;
  }
  if (stopping_) {
    end_feed(feed, ConnectionEnd::shutdown);
    return true;
  }
  if (feed.watched) {
    poller_.want(feed.socket.fd(), feed.connection->id, {.reads = true});
  } else {
    poller_.add(feed.socket.fd(), feed.connection->id);
    feed.watched = true;
  }
  read_turn(feed);
  return true;
}

void Receiver::take_replies() {
  while (auto reply = replies_.try_pop()) {
    if (reply->end != ConnectionEnd::open) {
      close_feed(*reply);
    }
  }
}

void Receiver::close_feed(const Reply& reply) {
  const auto found = feeds_.find(reply.connection->id);
  if (found == feeds_.end()) {
    return;
  }
  Feed& feed = found->second;
  if (reply.end == ConnectionEnd::finished && reply.durable) {
    feed.socket.close_with_fin();
  } else {
    feed.socket.close_with_reset();
  }
  (void)count_events(feed);  // those that Frame found after the last read count for the next one
  const MonotonicTime now = shared_.clock.now();
  const Connection& connection = *feed.connection;
  shared_.limits.close(connection.peer, now);
  shared_.books.connections_closed.fetch_add(1, std::memory_order_relaxed);
  log::info("connection closed", {{"peer", to_string(connection.peer)},
                                  {"connection", connection.id},
                                  {"bytes", feed.bytes},
                                  {"events", connection.events.load()},
                                  {"malformed", connection.malformed.load()},
                                  {"reason", to_string(reply.end)},
                                  {"durable", reply.durable ? 1 : 0},
                                  {"seconds", seconds(now - connection.opened_at)}});
  feeds_.erase(found);
}

void Receiver::sweep(MonotonicTime now) {
  if (accept_paused_until_ && now >= *accept_paused_until_) {
    accept_paused_until_.reset();
    poller_.add(listener_.fd(), kListenerToken, true);
  }
  const auto elapsed = now - swept_at_;
  if (elapsed < kSweepInterval) {
    return;
  }
  swept_at_ = now;
  for (auto& [id, feed] : feeds_) {
    if (feed.end != ConnectionEnd::open || feed.stall != Stall::none) {
      continue;  // only time in which we were reading counts
    }
    const Connection& connection = *feed.connection;
    const std::uint64_t pieces = connection.events.load() + connection.malformed.load();
    if (connection.refuse.load(std::memory_order_relaxed)) {
      end_feed(feed, ConnectionEnd::refused);
    } else if (connection.bytes_framing.load() == 0 || pieces != feed.events_at_sweep) {
      feed.reading_time = {};
      feed.events_at_sweep = pieces;
    } else if ((feed.reading_time += std::min(elapsed, kSweepCountedMax)) >=
               options_.document_timeout) {
      end_feed(feed, ConnectionEnd::timed_out);
    }
  }
}

void Receiver::end_all_feeds() {
  stopping_ = true;
  std::vector<ConnectionId> open;
  for (auto& [id, feed] : feeds_) {
    open.push_back(id);
  }
  for (const ConnectionId id : open) {
    Feed& feed = feeds_.at(id);
    if (feed.end == ConnectionEnd::open && feed.stall == Stall::none) {
      read_turn(feed);  // what has arrived already
    }
    if (feed.end == ConnectionEnd::open && !feed.pending) {
      end_feed(feed, ConnectionEnd::shutdown);
    }
  }
}

void Receiver::reset_all_feeds() {
  while (!feeds_.empty()) {
    close_feed({feeds_.begin()->second.connection, {}, ConnectionEnd::shutdown, false});
  }
  privileged_here_ = 0;
}

}  // namespace sluice
