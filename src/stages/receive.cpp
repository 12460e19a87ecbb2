#include "stages/receive.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/log/log.h"
#include "common/net/tls_hello.h"
#include "common/pipeline/pipeline.h"
#include "common/rpc/answerer.h"
#include "stages/receive_times.h"

namespace sluice {

Receiver::Receiver(ReceiverOptions options, ReceiveShared& shared, std::span<TcpListener> listeners,
                   BoundedQueue<Reply>& replies)
    : options_(options), shared_(shared), listeners_(listeners), replies_(replies) {
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
  resume_accepting();
  swept_at_ = shared_.clock.now();
  while (!stop.stop_requested()) {
    beat();
    for (const auto& event : poller_.wait(next_wake(shared_.clock.now()))) {
      serve(event);
    }
    take_replies();
    sweep(shared_.clock.now());
    resume_stalled();
  }
  pause_accepting(MonotonicTime::max());
  end_all_feeds();
  const MonotonicTime deadline = shared_.clock.now() + options_.drain_timeout;
  while (!feeds_.empty() && !replies_.cancelled() && shared_.clock.now() < deadline) {
    beat();
    for (const auto& event : poller_.wait(shared_.clock.now() + kStallLookInterval)) {
      serve(event);
    }
    take_replies();
    give_up_writing_to_all(shared_.clock.now());
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

void Receiver::serve(const EventPoller::Event& event) {
  if (event.token >= kListenerTokens) {
    return accept_waiting(event.token - kListenerTokens);
  }
  if (const auto found = feeds_.find(event.token); found != feeds_.end()) {
    serve(found->second, event);
  }
}

// The feed may be gone after it.
void Receiver::serve(Feed& feed, const EventPoller::Event& event) {
  if (feed.step != Step::open) {
    return open_further(feed);
  }
  if (event.writable || (event.broken && feed.interest.writes)) {
    const bool resume_reading = std::exchange(feed.read_wants_write, false);
    const ConnectionId id = feed.connection->id;
    write_replies(feed);
    if (!feeds_.contains(id)) {
      return;
    }
    if (resume_reading && feed.end == ConnectionEnd::open && feed.stall == Stall::none) {
      read_turn(feed);
    }
  }
  if (!event.readable && !event.broken) {
    return watch(feed);
  }
  if (feed.end != ConnectionEnd::open || feed.stall != Stall::none) {
    // Broken while nothing is read from it: looked at again when it is resumed.
    if (event.broken && feed.socket.open() && feed.watched) {
      poller_.remove(feed.socket.fd());
      feed.watched = false;
    }
    return;
  }
  read_turn(feed);
  watch(feed);
}

// Keeps the epoll set at what is wanted of the feed.
void Receiver::watch(Feed& feed) {
  if (!feed.socket.open()) {
    return;
  }
  const bool reads = feed.end == ConnectionEnd::open && feed.stall == Stall::none;
  const bool writes = feed.write_blocked || (reads && feed.read_wants_write);
  if (!feed.watched && !reads && !writes) {
    return;
  }
  const bool over = feed.end != ConnectionEnd::open && !writes;
  if (over) {
    poller_.remove(feed.socket.fd());
    feed.watched = false;
    return;
  }
  if (!feed.watched) {
    poller_.add(feed.socket.fd(), feed.connection->id);
    feed.watched = true;
    feed.interest = {.reads = true, .writes = false};
  }
  if (feed.interest.reads != reads || feed.interest.writes != writes) {
    feed.interest = {.reads = reads, .writes = writes};
    poller_.want(feed.socket.fd(), feed.connection->id, feed.interest);
  }
}

// Stalls the feed where it may not, or ends it where it is refused.
bool Receiver::may_read(Feed& feed) {
  if (feed.connection->refuse.load(std::memory_order_relaxed)) {
    end_refused(feed);
    return false;
  }
  if (shared_.pause_reading.load(std::memory_order_relaxed)) {
    stall(feed, Stall::disk);
    return false;
  }
  if (!is_answered_enough(feed)) {
    stall(feed, Stall::answers);
    return false;
  }
  return true;
}

// Of those who are answered; xml reads on.
bool Receiver::is_answered_enough(const Feed& feed) const {
  return options_.protocol == Protocol::xml ||
         (feed.replies.backlog_bytes() < options_.reply_backlog_max &&
          feed.connection->bytes_in_flight.load() < options_.bytes_in_flight_max);
}

void Receiver::read_turn(Feed& feed, Turn turn) {
  std::size_t left = options_.read_bytes_per_turn;
  while (left > 0 && feed.end == ConnectionEnd::open && feed.stall == Stall::none) {
    if (!may_read(feed)) {
      return;
    }
    const bool others_first = turn == Turn::new_reader && memory_waiters_ > 0;
    auto room = others_first ? std::nullopt : make_room(feed);
    if (!room) {
      return stall(feed, Stall::memory);
    }
    const std::size_t room_bytes = room->memory.size();
    const ClientSocket::Read outcome = feed.socket.read(room->memory.writable());
    switch (outcome.kind) {
      case ClientSocket::Read::Kind::would_block:
        feed.read_wants_write = outcome.wants_write;
        return watch(feed);
      case ClientSocket::Read::Kind::finished:
        return end_feed(feed, ConnectionEnd::finished);
      case ClientSocket::Read::Kind::reset:
        if (!outcome.reason.empty()) {
          log::limited(log::Level::warning, "connection broken",
                       {{"peer", to_string(feed.connection->peer)}, {"reason", outcome.reason}});
        }
        return end_feed(feed, ConnectionEnd::reset);
      case ClientSocket::Read::Kind::bytes:
        break;
    }
    if (feed.bytes == 0 && is_tls_on_plain(feed, room->memory.bytes().first(outcome.bytes))) {
      return;
    }
    feed.bytes += outcome.bytes;
    shared_.books.bytes_received.fetch_add(outcome.bytes, std::memory_order_relaxed);
    if (room->from_slab) {
      slab_.remove_prefix(outcome.bytes);
    }
    room->memory.truncate(outcome.bytes);
    room->carry.shrink_to(carry_bytes(outcome.bytes));
    deliver(feed, {feed.connection, std::move(room->memory), std::move(room->carry),
                   shared_.clock.wall_now(), ConnectionEnd::open,
                   InFlight(feed.connection, outcome.bytes)});
    left -= std::min(left, outcome.bytes);
    if (outcome.bytes < room_bytes && !feed.socket.has_pending()) {
      return;  // the socket is most likely empty; the poller tells if it is not
    }
  }
  if (feed.end == ConnectionEnd::open && feed.stall == Stall::none && feed.socket.has_pending()) {
    // Others first; the poller would not tell of what lies in TLS already.
    stall(feed, Stall::turn);
    woken_.store(true);
  }
}

// Named, and ended, before a byte of it becomes an event.
bool Receiver::is_tls_on_plain(Feed& feed, std::span<const std::byte> bytes) {
  if (feed.socket.is_tls() || !looks_like_tls_hello(bytes)) {
    return false;
  }
  shared_.books.bytes_received.fetch_add(bytes.size(), std::memory_order_relaxed);
  shared_.books.bytes_refused.fetch_add(bytes.size(), std::memory_order_relaxed);
  log::limited(log::Level::warning, "TLS on a plain port",
               {{"peer", to_string(feed.connection->peer)},
                {"advice",
                 "the client speaks TLS, this listener does not: set TLS_CERT and "
                 "TLS_KEY here, or switch TLS off there"}});
  end_feed(feed, ConnectionEnd::refused, "TLS on a plain port");
  return true;
}

// Of what is read, what Frame may need beside it: a copy of the tail, or the answers.
std::size_t Receiver::carry_bytes(std::size_t bytes) const {
  return options_.protocol == Protocol::rpc ? answer_bytes_max(bytes) : bytes;
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
      ->count(feed.connection->rate_key, events - std::exchange(feed.events_counted, events),
              shared_.clock.now())
      .used_up_until;
}

// Frame has found that its bytes are not of the protocol.
void Receiver::end_refused(Feed& feed) {
  end_feed(feed, ConnectionEnd::refused,
           options_.protocol == Protocol::xml ? "not XML" : "no request");
}

void Receiver::end_feed(Feed& feed, ConnectionEnd end, std::string_view reason) {
  feed.end = end;
  feed.end_reason = reason;
  if (end == ConnectionEnd::reset) {
    feed.replies.drop();
    feed.write_blocked = false;
    if (feed.watched) {
      poller_.remove(feed.socket.fd());
      feed.watched = false;
    }
    feed.socket.close_with_reset();
  }
  watch(feed);
  if (feed.pending) {
    feed.pending->end = end;  // not before the bytes that wait for their lane, nor in their place
    return;
  }
  Chunk last;
  last.connection = feed.connection;
  last.received_at = shared_.clock.wall_now();
  last.end = end;
  last.in_flight = InFlight(feed.connection, 0);
  if (feed.bytes == 0) {
    // Nothing of it went down, so nothing has to become durable before the answer.
    Reply reply{feed.connection, {}, end, true, {}, {}};
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
  set_stall(feed, why);
  watch(feed);
}

void Receiver::set_stall(Feed& feed, Stall why) {
  memory_waiters_ -= feed.stall == Stall::memory ? 1 : 0;
  memory_waiters_ += why == Stall::memory ? 1 : 0;
  feed.stall = why;
}

void Receiver::resume_stalled() {
  woken_.store(false);
  release_privilege();
  // Each is looked at once. Those that get nothing keep their order, before those that are served
  // and wait again, and who did not wait yet comes last (read_turn): else one that floods would
  // take whatever memory comes back.
  std::deque<ConnectionId> unserved;
  for (const ConnectionId id : std::exchange(stalled_, {})) {
    const auto found = feeds_.find(id);
    if (found != feeds_.end() && !resume(found->second)) {
      unserved.push_back(id);
    }
  }
  stalled_.insert(stalled_.begin(), unserved.begin(), unserved.end());
}

// True when the feed is stalled no more, stalled anew after it was served (and in the line again),
// or gone.
bool Receiver::resume(Feed& feed) {
  switch (feed.stall) {
    case Stall::lane:
      if (!lanes_->try_push(*feed.pending)) {
        return false;
      }
      feed.pending.reset();
      break;
    case Stall::disk:
      if (feed.end == ConnectionEnd::open &&
          shared_.pause_reading.load(std::memory_order_relaxed)) {
        return false;
      }
      break;
    case Stall::rate:
      if (feed.end == ConnectionEnd::open && shared_.clock.now() < feed.resume_at) {
        return false;
      }
      break;
    case Stall::answers:
      if (feed.end == ConnectionEnd::open && !is_answered_enough(feed)) {
        return false;
      }
      break;
    case Stall::last_replies:
      if (!feed.socket.plain().is_all_taken() && shared_.clock.now() < feed.resume_at) {
        return false;
      }
      feed.socket.close_with_fin();
      close_feed(feed, *feed.closing);
      return true;
    case Stall::memory:
    case Stall::turn:
    case Stall::none:
      break;
  }
  const bool in_line = feed.stall == Stall::memory;
  set_stall(feed, Stall::none);
  if (feed.end == ConnectionEnd::open) {
    const std::uint64_t bytes_before = feed.bytes;
    watch(feed);
    read_turn(feed, in_line ? Turn::in_line : Turn::new_reader);
    if (in_line && feed.stall == Stall::memory && feed.bytes == bytes_before) {
      stalled_.pop_back();  // where read_turn has just put it
      return false;
    }
  }
  return true;
}

}  // namespace sluice
