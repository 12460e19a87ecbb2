// Receive: sockets in, chunks out, replies back. A thread each has an epoll set of its own; all
// share the listeners. Never blocks on anything but the epoll set: a connection whose lane is full,
// for whose bytes there is no memory, disk or allowance, or that does not read what it is told, is
// not read until there is (TCP holds its client back), and replies go on.
//
// A connection is let in in steps (receive_admission.cpp): the allow list and the limits, the PROXY
// header where a trusted proxy speaks first, TLS, a token. Only then a byte of it goes down.
// receive.cpp reads, into what receive_room.cpp finds room for; receive_end.cpp answers, and ends
// what is over.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/net/accept_rate.h"
#include "common/net/client_socket.h"
#include "common/net/connection_limits.h"
#include "common/net/event_poller.h"
#include "common/net/listener_rules.h"
#include "common/net/rate_limiter.h"
#include "common/net/tcp_listener.h"
#include "common/pipeline/bounded_queue.h"
#include "common/pipeline/outbox.h"
#include "common/platform/clock.h"
#include "stages/books.h"
#include "stages/messages.h"
#include "stages/receive_replies.h"

namespace sluice {

// What all receivers of a listener share.
struct ReceiveShared {
  const Clock& clock;
  Books& books;
  MemoryBudget& ingest;
  ConnectionLimits& limits;
  const std::atomic<bool>& pause_reading;  // the disk is at its high watermark
  RateLimiter* rate_limiter = nullptr;     // of xml, whose reading it slows; none: no limit
  ListenerRulesHolder* rules = nullptr;    // none: everyone, in plain text
  AcceptRate* accept_rate = nullptr;       // none: no limit
  std::atomic<ConnectionId> last_id{0};
  // The one connection that may spend the budget's reserve, 0 none: so that events which together
  // exceed the memory still end, one after the other.
  std::atomic<ConnectionId> privileged{0};
};

struct ReceiverOptions {
  Protocol protocol = Protocol::xml;
  std::uint32_t index = 0;
  std::size_t slab_bytes = 256 * kKiB;
  std::size_t read_bytes_max = 128 * kKiB;       // one read
  std::size_t read_bytes_per_turn = 256 * kKiB;  // of one connection, before others get theirs
  std::size_t privileged_read_bytes = 32 * kKiB;
  // Of one connection, reading waits beyond these: bytes that are not answered yet, and bytes of
  // replies that it has not taken.
  std::uint64_t bytes_in_flight_max = kAnsweredBytesMax;
  std::size_t reply_backlog_max = 16 * kKiB;
  std::chrono::milliseconds document_timeout{60'000};   // reading time that one event may take
  std::chrono::milliseconds handshake_timeout{10'000};  // for all that comes before the first byte
  std::chrono::milliseconds reply_timeout{30'000};      // for a peer that takes no reply
  std::uint64_t receive_rate_min = 0;                   // bytes a second inside an event; 0: any
  std::chrono::milliseconds drain_timeout{30'000};      // for the last replies after a stop
  KeepaliveOptions keepalive;
};

// A source. The queue of replies must have room for all that kAnsweredChunksMax chunks of every
// connection may be answered with, and its end.
class Receiver {
 public:
  Receiver(ReceiverOptions options, ReceiveShared& shared, std::span<TcpListener> listeners,
           BoundedQueue<Reply>& replies);

  // Until `stop`; then sends every connection's end down and waits for the answers.
  Status run(Outbox<Chunk>& lanes, const std::stop_token& stop);
  // Thread-safe: there may be replies, room or memory now.
  void wake();

 private:
  enum class Step : std::uint8_t { proxy, tls, token, open };
  enum class Stall : std::uint8_t { none, lane, memory, disk, rate, answers, turn, last_replies };

  // How a connection is closed, once all replies are written.
  struct Ending {
    ConnectionEnd end = ConnectionEnd::open;
    bool durable = false;  // all before it is
  };
  struct Feed {
    ConnectionPtr connection;
    ClientSocket socket;
    Step step = Step::open;
    ListenerRulesPtr rules;  // until it is open
    std::string opening;     // what was read of the header or line that it opens with
    PeerAddress counted_as;  // in ConnectionLimits
    std::optional<std::chrono::milliseconds> gap;  // since the peer's last one closed

    bool watched = false;  // in the epoll set
    EventPoller::Interest interest;
    bool read_wants_write = false;
    Stall stall = Stall::none;
    std::optional<Chunk> pending;             // made, but its lane was full
    ConnectionEnd end = ConnectionEnd::open;  // sent down (or pending)
    std::string_view end_reason;              // for the log, where there is more to say than `end`
    std::uint64_t bytes = 0;
    std::uint64_t events_counted = 0;  // against the rate limit
    MonotonicTime resume_at{};         // with Stall::rate; at the latest, with Stall::last_replies

    ReplyBuffer replies;
    bool write_blocked = false;
    MonotonicTime write_progress_at{};
    std::optional<Ending> closing;  // the answer to its end: it closes once all replies are written

    // The view of the deadlines.
    std::uint64_t events_at_sweep = 0;
    std::chrono::nanoseconds reading_time{0};  // spent on the event that is being framed
    std::uint64_t bytes_at_event = 0;
  };

  // receive_admission.cpp
  void accept_waiting(std::size_t listener);
  bool may_accept();
  void pause_accepting(MonotonicTime until);
  void resume_accepting();
  void admit(TcpListener::Accepted accepted);
  void refuse(TcpSocket socket, const PeerAddress& peer, std::string_view why);
  void open_further(Feed& feed);
  bool read_proxy_header(Feed& feed);
  bool shake_hands(Feed& feed);
  bool read_token(Feed& feed);
  void note_opened(Feed& feed);
  void turn_away(Feed& feed, std::string_view reason);

  // receive.cpp
  void serve(const EventPoller::Event& event);
  void serve(Feed& feed, const EventPoller::Event& event);
  // Who takes memory that others wait for: who stands in their line.
  enum class Turn : std::uint8_t { new_reader, in_line };
  void read_turn(Feed& feed, Turn turn = Turn::new_reader);
  bool may_read(Feed& feed);
  bool is_tls_on_plain(Feed& feed, std::span<const std::byte> bytes);
  // A place to read into, with the charge for what Frame may copy of it.
  struct Room {
    Buffer memory;
    Charge carry;
    bool from_slab = false;
  };
  [[nodiscard]] std::size_t carry_bytes(std::size_t bytes) const;
  std::optional<Room> make_room(const Feed& feed);
  std::optional<Room> allocate_room(const Feed& feed);
  std::optional<Room> make_privileged_room(const Feed& feed);
  void deliver(Feed& feed, Chunk chunk);
  std::optional<MonotonicTime> count_events(Feed& feed);
  void end_feed(Feed& feed, ConnectionEnd end, std::string_view reason = {});
  void end_refused(Feed& feed);
  void stall(Feed& feed, Stall why);
  void set_stall(Feed& feed, Stall why);
  void resume_stalled();
  bool resume(Feed& feed);
  [[nodiscard]] bool is_answered_enough(const Feed& feed) const;
  void watch(Feed& feed);
  void release_privilege();
  MonotonicTime next_wake(MonotonicTime now) const;

  // receive_end.cpp
  void take_replies();
  void write_replies(Feed& feed);
  void close_when_written(Feed& feed);
  void close_feed(Feed& feed, Ending ending);
  void forget(Feed& feed);
  void sweep(MonotonicTime now);
  void sweep(Feed& feed, MonotonicTime now, std::chrono::nanoseconds elapsed);
  bool give_up_writing(Feed& feed, MonotonicTime now, std::chrono::nanoseconds patience);
  void give_up_writing_to_all(MonotonicTime now);
  void end_all_feeds();
  void reset_all_feeds();

  const ReceiverOptions options_;
  ReceiveShared& shared_;
  const std::span<TcpListener> listeners_;
  BoundedQueue<Reply>& replies_;
  Outbox<Chunk>* lanes_ = nullptr;  // of the running run()
  EventPoller poller_;
  std::unordered_map<ConnectionId, Feed> feeds_;
  std::deque<ConnectionId> stalled_;
  std::size_t memory_waiters_ = 0;  // of them, with Stall::memory
  std::atomic<bool> woken_{false};
  Buffer slab_;  // the part that is not used yet
  ConnectionId privileged_here_ = 0;
  std::uint64_t privileged_pieces_ = 0;  // what it had ended when it was given the privilege
  MonotonicTime swept_at_{};
  std::optional<MonotonicTime> accept_paused_until_;
};

}  // namespace sluice
