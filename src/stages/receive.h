// Receive: sockets in, chunks out. A thread each has an epoll set of its own; all share the
// listener. Never blocks on anything but the epoll set: a connection whose lane is full, or for
// whose bytes there is no memory, disk or allowance, is not read until there is (TCP holds its
// client back), and replies go on.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <optional>
#include <stop_token>
#include <unordered_map>

#include "common/net/connection_limits.h"
#include "common/net/event_poller.h"
#include "common/net/rate_limiter.h"
#include "common/net/tcp_listener.h"
#include "common/pipeline/bounded_queue.h"
#include "common/pipeline/outbox.h"
#include "common/platform/clock.h"
#include "stages/books.h"
#include "stages/messages.h"

namespace sluice {

// What all receivers of a process share.
struct ReceiveShared {
  const Clock& clock;
  Books& books;
  MemoryBudget& ingest;
  ConnectionLimits& limits;
  const std::atomic<bool>& pause_reading;  // the disk is at its high watermark
  RateLimiter* rate_limiter = nullptr;     // none: no limit
  std::atomic<ConnectionId> last_id{0};
  // The one connection that may spend the budget's reserve, 0 none: so that events which together
  // exceed the memory still end, one after the other.
  std::atomic<ConnectionId> privileged{0};
};

struct ReceiverOptions {
  std::uint32_t index = 0;
  std::size_t slab_bytes = 256 * kKiB;
  std::size_t read_bytes_max = 128 * kKiB;       // one read
  std::size_t read_bytes_per_turn = 256 * kKiB;  // of one connection, before others get theirs
  std::size_t privileged_read_bytes = 32 * kKiB;
  std::chrono::milliseconds document_timeout{60'000};  // reading time that one event may take
  std::chrono::milliseconds drain_timeout{30'000};     // for the last replies after a stop
  KeepaliveOptions keepalive;
};

// A source. The queue of replies must have room for one of every connection.
class Receiver {
 public:
  Receiver(ReceiverOptions options, ReceiveShared& shared, TcpListener& listener,
           BoundedQueue<Reply>& replies);

  // Until `stop`; then sends every connection's end down and waits for the answers.
  Status run(Outbox<Chunk>& lanes, const std::stop_token& stop);
  // Thread-safe: there may be replies, room or memory now.
  void wake();

 private:
  enum class Stall : std::uint8_t { none, lane, memory, disk, rate };

  struct Feed {
    ConnectionPtr connection;
    TcpSocket socket;
    bool watched = false;  // in the epoll set, reads wanted
    Stall stall = Stall::none;
    std::optional<Chunk> pending;             // made, but its lane was full
    ConnectionEnd end = ConnectionEnd::open;  // sent down (or pending)
    std::uint64_t bytes = 0;
    std::uint64_t events_counted = 0;          // against the rate limit
    MonotonicTime resume_at{};                 // with Stall::rate
    std::uint64_t events_at_sweep = 0;         // the document deadline's view
    std::chrono::nanoseconds reading_time{0};  // spent on the event that is being framed
  };

  void accept_waiting();
  void admit(TcpListener::Accepted accepted);
  void on_readable(Feed& feed);
  void read_turn(Feed& feed);
  // A place to read into, with the charge for what Frame may copy of it.
  struct Room {
    Buffer memory;
    Charge carry;
    bool from_slab = false;
  };
  std::optional<Room> make_room(const Feed& feed);
  std::optional<Room> allocate_room(const Feed& feed);
  std::optional<Room> make_privileged_room(const Feed& feed);
  void deliver(Feed& feed, Chunk chunk);
  std::optional<MonotonicTime> count_events(Feed& feed);
  void end_feed(Feed& feed, ConnectionEnd end);
  void stall(Feed& feed, Stall why);
  void resume_stalled();
  bool resume(Feed& feed);
  void take_replies();
  void close_feed(const Reply& reply);
  void release_privilege();
  void sweep(MonotonicTime now);
  void end_all_feeds();
  void reset_all_feeds();
  MonotonicTime next_wake(MonotonicTime now) const;

  const ReceiverOptions options_;
  ReceiveShared& shared_;
  TcpListener& listener_;
  BoundedQueue<Reply>& replies_;
  Outbox<Chunk>* lanes_ = nullptr;  // of the running run()
  EventPoller poller_;
  std::unordered_map<ConnectionId, Feed> feeds_;
  std::deque<ConnectionId> stalled_;
  std::atomic<bool> woken_{false};
  Buffer slab_;  // the part that is not used yet
  ConnectionId privileged_here_ = 0;
  bool stopping_ = false;
  MonotonicTime swept_at_{};
  std::optional<MonotonicTime> accept_paused_until_;
};

}  // namespace sluice
