// One connection of sluice-load: connects, sends what it is granted, half-closes, waits for the
// server's FIN. Non-blocking; on the one thread of the load loop.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "common/base/units.h"
#include "common/platform/unique_fd.h"
#include "event_source.h"

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
  EventSource events;
  std::string_view file;  // with --file
  Random random;
  Totals totals;
  std::uint64_t next_connection = 0;
  std::string first_error;
};

class Connection {
 public:
  enum class State : std::uint8_t { connecting, sending, finishing, ended };

  // `share`: how many events it is to send in all.
  Connection(Run& run, const addrinfo& address, std::uint64_t share);

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] bool reached_server() const { return reached_server_; }
  [[nodiscard]] std::uint64_t share_left() const { return share_ - handed_; }
  [[nodiscard]] MonotonicTime last_progress_at() const { return last_progress_at_; }
  // The epoll events that it wants now.
  [[nodiscard]] std::uint32_t interest() const;

  [[nodiscard]] bool wants_grant() const {
    return (state_ == State::connecting || state_ == State::sending) && granted_ < share_;
  }
  void grant(std::uint64_t events) { granted_ += events; }
  // No event more than those already in the buffer.
  void stop();

  void on_ready(std::uint32_t events);
  void give_up(std::string_view why);

 private:
  void refill();
  void send_some();
  void receive();
  void count_sent(std::size_t bytes);
  void finish_sending();
  void end(std::string_view how, std::string_view error);

  Run& run_;
  std::uint64_t number_;  // in the record; a new connection has a new one
  UniqueFd fd_;
  State state_ = State::connecting;
  bool reached_server_ = false;
  std::uint64_t share_;
  std::uint64_t granted_ = 0;
  std::uint64_t begun_ = 0;   // events put into the buffer
  std::uint64_t handed_ = 0;  // events fully handed to the socket
  MonotonicTime last_progress_at_;

  std::string buffer_;
  std::string_view unsent_;  // of buffer_ or of the file
  std::size_t sent_ = 0;     // of buffer_ or of the file
  std::deque<RenderedEvent> rendered_;
};

}  // namespace sluice::load
