// One connection of sluice-load: connects, sends what it is granted, half-closes, waits for the
// server's FIN. Of logs and rpc it reads and judges the answers meanwhile, and sends no more than
// --pipeline ahead of them. Non-blocking; on the one thread of the load loop.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "answers.h"
#include "common/base/units.h"
#include "options.h"
#include "random.h"
#include "source.h"
#include "wire.h"

struct addrinfo;

namespace sluice::load {

struct Totals {
  std::uint64_t events = 0;  // fully handed to a socket (copies of the file with --file)
  std::uint64_t bytes = 0;
  std::uint64_t opened = 0;
  std::uint64_t closed_by_fin = 0;
  std::uint64_t closed_by_reset = 0;
  std::uint64_t failed = 0;
};

// What all connections of a run share.
struct Run {
  const Options& options;
  Record& record;
  std::unique_ptr<Source> source;
  std::string_view file;        // with --file
  const TlsClient* tls;         // with --tls
  std::string_view token_line;  // with --token
  Random random;
  Totals totals;
  AnswerTotals answers;
  std::uint64_t next_connection = 0;
  std::string first_error;
};

class Connection {
 public:
  enum class State : std::uint8_t { connecting, handshaking, sending, finishing, ended };

  // `share`: how many events it is to send in all.
  Connection(Run& run, const addrinfo& address, std::uint64_t share);

  [[nodiscard]] int fd() const { return wire_.fd(); }
  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] bool reached_server() const { return reached_server_; }
  [[nodiscard]] std::uint64_t share_left() const { return share_ - handed_; }
  [[nodiscard]] MonotonicTime last_progress_at() const { return last_progress_at_; }
  // The epoll events that it wants now.
  [[nodiscard]] std::uint32_t interest() const;

  [[nodiscard]] bool wants_grant() const { return state_ < State::finishing && granted_ < share_; }
  void grant(std::uint64_t events) { granted_ += events; }
  // No event more than those already in the buffer.
  void stop();

  void on_ready(std::uint32_t events);
  // It is the server's turn: to shake hands, to answer, to close.
  [[nodiscard]] bool waits_for_server() const;
  // The server took too long.
  void give_up();

 private:
  void begin_sending();
  void shake_hands();
  [[nodiscard]] bool may_begin() const;
  void refill();
  void send_some();
  void receive();
  void count_sent(std::size_t bytes, MonotonicTime at);
  void finish_sending();
  void end_by(const Wire::Outcome& outcome);
  void end(std::string_view how, std::string_view error);

  Run& run_;
  std::uint64_t number_;  // in the record; a new connection has a new one
  Wire wire_;
  std::optional<Answers> answers_;  // of logs and rpc
  State state_ = State::connecting;
  bool reached_server_ = false;
  std::uint64_t share_;
  std::uint64_t granted_ = 0;
  std::uint64_t begun_ = 0;   // events put into the buffer
  std::uint64_t handed_ = 0;  // events fully handed to the socket
  MonotonicTime last_progress_at_;

  std::size_t cut_bytes_ = 0;  // of a write that has not happened yet, with --cut random
  bool token_due_ = false;
  std::string buffer_;
  std::string_view unsent_;  // of buffer_ or of the file
  std::size_t sent_ = 0;     // of buffer_ or of the file
  std::deque<RenderedEvent> rendered_;
};

}  // namespace sluice::load
