// What a connection is told, how it ends, and the deadlines after which it does.
#include <algorithm>
#include <utility>
#include <vector>

#include "common/log/log.h"
#include "stages/receive.h"
#include "stages/receive_times.h"

namespace sluice {
namespace {

// A minimum rate is not asked for before an event took so long.
constexpr auto kRateGrace = std::chrono::seconds(5);
// At a stop, what a peer that does not acknowledge its last replies may take.
constexpr auto kLastRepliesMax = std::chrono::seconds(2);

}  // namespace

void Receiver::take_replies() {
  while (auto reply = replies_.try_pop()) {
    const auto found = feeds_.find(reply->connection->id);
    if (found == feeds_.end()) {
      continue;
    }
    Feed& feed = found->second;
    reply->in_flight = {};
    if (reply->end != ConnectionEnd::open) {
      feed.closing = Ending{reply->end, reply->durable};
    }
    if (feed.socket.open()) {
      feed.replies.push(std::move(*reply));
    }
    if (!feed.write_blocked) {
      write_replies(feed);
    }
  }
}

// As much as the socket takes. The feed may be gone after it.
void Receiver::write_replies(Feed& feed) {
  const bool was_blocked = std::exchange(feed.write_blocked, false);
  while (feed.socket.open()) {
    const auto bytes = feed.replies.next();
    if (bytes.empty()) {
      break;
    }
    const WriteOutcome outcome = feed.socket.write(bytes);
    if (outcome.kind == WriteOutcome::Kind::reset) {
      feed.replies.drop();
      if (feed.end == ConnectionEnd::open) {
        end_feed(feed, ConnectionEnd::reset);
      }
      break;
    }
    if (outcome.kind == WriteOutcome::Kind::bytes) {
      feed.replies.written(outcome.bytes);
      feed.write_progress_at = shared_.clock.now();
      continue;
    }
    if (!was_blocked) {
      feed.write_progress_at = shared_.clock.now();
    }
    feed.write_blocked = true;
    return watch(feed);
  }
  if (feed.closing) {
    return close_when_written(feed);
  }
  watch(feed);
}

void Receiver::close_when_written(Feed& feed) {
  const Ending closing = *feed.closing;
  // Xml clients read a FIN as "all is durable"; it is for those alone who have said theirs. Others
  // were told what they have to know by the replies before it.
  const bool fin = closing.durable &&
                   (closing.end == ConnectionEnd::finished ||
                    (closing.end == ConnectionEnd::shutdown && options_.protocol != Protocol::xml));
  if (!fin || !feed.socket.open()) {
    return close_feed(feed, closing);
  }
  if (!feed.socket.send_fin()) {
    feed.write_blocked = true;
    feed.write_progress_at = shared_.clock.now();
    return watch(feed);
  }
  if (closing.end == ConnectionEnd::finished) {
    feed.socket.close_with_fin();
    return close_feed(feed, closing);
  }
  // What the peer sent and nobody reads makes a reset of a close: not before it has the replies.
  feed.resume_at = shared_.clock.now() + kLastRepliesMax;
  stall(feed, Stall::last_replies);
}

// The feed is gone after it.
void Receiver::close_feed(Feed& feed, Ending ending) {
  if (feed.socket.open()) {
    feed.socket.close_with_reset();
  }
  (void)count_events(feed);  // those that Frame found after the last read count for the next one
  const Connection& connection = *feed.connection;
  log::info("connection closed",
            {{"peer", to_string(connection.peer)},
             {"connection", connection.id},
             {"bytes", feed.bytes},
             {"events", connection.events.load()},
             {"malformed", connection.malformed.load()},
             {"reason", feed.end_reason.empty() ? to_string(ending.end) : feed.end_reason},
             {"durable", ending.durable ? 1 : 0},
             {"seconds", seconds_of(shared_.clock.now() - connection.opened_at)}});
  forget(feed);
}

void Receiver::forget(Feed& feed) {
  set_stall(feed, Stall::none);
  shared_.limits.close(feed.counted_as, shared_.clock.now());
  shared_.books.connections_closed.fetch_add(1, std::memory_order_relaxed);
  feeds_.erase(feed.connection->id);
}

void Receiver::sweep(MonotonicTime now) {
  if (accept_paused_until_ && now >= *accept_paused_until_) {
    resume_accepting();
  }
  const auto elapsed = now - swept_at_;
  if (elapsed < kSweepInterval) {
    return;
  }
  swept_at_ = now;
  for (auto next = feeds_.begin(); next != feeds_.end();) {
    Feed& feed = (next++)->second;  // which may go
    if (feed.step == Step::open) {
      sweep(feed, now, elapsed);
    } else if (now - feed.connection->opened_at >= options_.handshake_timeout) {
      turn_away(feed, "HANDSHAKE_TIMEOUT");
    }
  }
}

// True where the peer has taken nothing for so long; then the feed may be gone.
bool Receiver::give_up_writing(Feed& feed, MonotonicTime now, std::chrono::nanoseconds patience) {
  if (!feed.write_blocked || now - feed.write_progress_at < patience) {
    return false;
  }
  log::limited(
      log::Level::warning, "replies not taken",
      {{"peer", to_string(feed.connection->peer)}, {"bytes", feed.replies.backlog_bytes()}});
  feed.replies.drop();
  feed.write_blocked = false;
  if (feed.end == ConnectionEnd::open) {
    end_feed(feed, ConnectionEnd::timed_out, "REPLY_TIMEOUT");
    return true;
  }
  feed.socket.close_with_reset();
  if (feed.closing) {
    close_feed(feed, *feed.closing);
  }
  return true;
}

// While we are stopping: who takes no replies must not keep the others from the store.
void Receiver::give_up_writing_to_all(MonotonicTime now) {
  constexpr int kPatienceShare = 4;
  const std::chrono::nanoseconds patience =
      std::min(options_.reply_timeout, options_.drain_timeout / kPatienceShare);
  for (auto next = feeds_.begin(); next != feeds_.end();) {
    (void)give_up_writing((next++)->second, now, patience);
  }
}

void Receiver::sweep(Feed& feed, MonotonicTime now, std::chrono::nanoseconds elapsed) {
  if (give_up_writing(feed, now, options_.reply_timeout)) {
    return;
  }
  if (feed.end != ConnectionEnd::open || feed.stall != Stall::none) {
    return;  // only time in which we were reading counts
  }
  const Connection& connection = *feed.connection;
  const std::uint64_t pieces =
      connection.events.load() + connection.malformed.load() + connection.refused.load();
  if (connection.refuse.load(std::memory_order_relaxed)) {
    return end_refused(feed);
  }
  if (connection.bytes_framing.load() == 0 || pieces != feed.events_at_sweep) {
    feed.reading_time = {};
    feed.events_at_sweep = pieces;
    feed.bytes_at_event = feed.bytes;
    return;
  }
  feed.reading_time += std::min<std::chrono::nanoseconds>(elapsed, kSweepCountedMax);
  const double bytes_wanted =
      static_cast<double>(options_.receive_rate_min) * seconds_of(feed.reading_time);
  const bool too_slow = feed.reading_time >= kRateGrace &&
                        static_cast<double>(feed.bytes - feed.bytes_at_event) < bytes_wanted;
  if (feed.reading_time >= options_.document_timeout || too_slow) {
    end_feed(feed, ConnectionEnd::timed_out, too_slow ? "MIN_RECEIVE_RATE" : "DOCUMENT_TIMEOUT");
  }
}

void Receiver::end_all_feeds() {
  std::vector<ConnectionId> open;
  for (auto& [id, feed] : feeds_) {
    open.push_back(id);
  }
  for (const ConnectionId id : open) {
    Feed& feed = feeds_.at(id);
    if (feed.step != Step::open) {
      turn_away(feed, "");
      continue;
    }
    if (feed.end == ConnectionEnd::open && feed.stall == Stall::none) {
      read_turn(feed);  // what has arrived already
    }
    if (feed.end == ConnectionEnd::open) {
      end_feed(feed, ConnectionEnd::shutdown);
    }
  }
}

void Receiver::reset_all_feeds() {
  while (!feeds_.empty()) {
    Feed& feed = feeds_.begin()->second;
    if (feed.stall == Stall::last_replies) {  // its FIN was sent: the kernel sees to the rest
      feed.socket.close_with_fin();
      close_feed(feed, *feed.closing);
    } else {
      close_feed(feed, {ConnectionEnd::shutdown, false});
    }
  }
  privileged_here_ = 0;
}

}  // namespace sluice
