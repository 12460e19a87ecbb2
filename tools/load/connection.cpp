#include "connection.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "common/base/result.h"

namespace sluice::load {
namespace {

constexpr std::size_t kBufferBytes = 256 * kKiB;
constexpr int kSendsPerTurn = 64;
constexpr std::size_t kReadBytes = 64 * kKiB;
constexpr unsigned kCutBitsMax = 16;  // --cut random: writes of 1 byte to 64 KiB

// Small writes go out at once: with Nagle's algorithm one would wait for the other's answer.
void send_at_once(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

}  // namespace

Connection::Connection(Run& run, const addrinfo& address, std::uint64_t share)
    : run_(run),
      number_(run.next_connection++),
      share_(share),
      last_progress_at_(std::chrono::steady_clock::now()),
      token_due_(!run.token_line.empty()) {
  UniqueFd fd(::socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) {
    end("error", system_error("socket", errno).message);
    return;
  }
  if (run_.options.protocol != Protocol::xml) {
    answers_.emplace(run_.options.protocol, Answers::Links{run_.answers, run_.record, number_});
  }
  if (run_.options.cut_random || answers_) {
    send_at_once(fd.get());
  }
  const int number = fd.get();
  TlsSessionPtr session = run_.tls == nullptr ? nullptr : run_.tls->new_session(number);
  const bool has_session = session != nullptr;
  wire_ = Wire(std::move(fd), std::move(session));
  if (has_session != (run_.tls != nullptr)) {
    end("error", "no memory for TLS");
  } else if (::connect(number, address.ai_addr, address.ai_addrlen) != 0 && errno != EINPROGRESS) {
    end("error", system_error("connect", errno).message);
  }
}

std::uint32_t Connection::interest() const {
  const bool has_work = !unsent_.empty() || token_due_ || may_begin() || begun_ == share_;
  const bool wants_to_write =
      state_ == State::connecting || wire_.wants_write() || (state_ == State::sending && has_work);
  return EPOLLIN | EPOLLRDHUP | (wants_to_write ? EPOLLOUT : 0U);
}

void Connection::stop() {
  share_ = std::min(share_, begun_);
  granted_ = std::min(granted_, share_);
}

void Connection::on_ready(std::uint32_t events) {
  if (state_ == State::connecting && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0) {
    int error = 0;
    socklen_t length = sizeof error;
    ::getsockopt(fd(), SOL_SOCKET, SO_ERROR, &error, &length);
    if (error != 0) {
      end("error", system_error("connect", error).message);
      return;
    }
    state_ = State::handshaking;
    if (!wire_.is_tls()) {
      begin_sending();
    }
  }
  if (state_ == State::handshaking) {
    shake_hands();
  }
  if (state_ != State::ended && state_ >= State::sending &&
      (wire_.is_tls() || (events & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP)) != 0)) {
    receive();
  }
  if (state_ == State::sending) {
    send_some();
  }
}

void Connection::begin_sending() {
  reached_server_ = true;
  ++run_.totals.opened;
  state_ = State::sending;
  last_progress_at_ = std::chrono::steady_clock::now();
}

void Connection::shake_hands() {
  const Wire::Outcome outcome = wire_.handshake();
  if (outcome.kind == Wire::Outcome::Kind::done) {
    begin_sending();
  } else if (outcome.kind != Wire::Outcome::Kind::would_block) {
    end_by(outcome);
  }
}

bool Connection::may_begin() const {
  return begun_ < granted_ && (!answers_ || begun_ - answers_->answered() < run_.options.pipeline);
}

void Connection::refill() {
  sent_ = 0;
  if (!run_.file.empty()) {
    ++begun_;
    unsent_ = run_.file;
    rendered_.push_back({unsent_.size(), {}, {}});
    return;
  }
  buffer_.clear();
  if (token_due_) {
    buffer_ = run_.token_line;
    token_due_ = false;
  }
  while (may_begin() && buffer_.size() < kBufferBytes) {
    run_.source->append(begun_ == 0, buffer_, rendered_);
    ++begun_;
  }
  unsent_ = buffer_;
}

void Connection::send_some() {
  for (int turn = 0; turn < kSendsPerTurn; ++turn) {
    if (unsent_.empty()) {
      if (begun_ == share_ && !token_due_) {
        finish_sending();
        return;
      }
      if (!may_begin() && !token_due_) {
        return;  // until the next grant, or answer
      }
      refill();
    }
    std::size_t length = unsent_.size();
    if (run_.options.cut_random) {
      if (cut_bytes_ == 0) {
        cut_bytes_ = 1 + run_.random.below(1ULL << run_.random.below(kCutBitsMax + 1));
      }
      length = std::min(length, cut_bytes_);
    }
    const MonotonicTime at = std::chrono::steady_clock::now();
    const Wire::Outcome outcome = wire_.send(unsent_.substr(0, length));
    if (outcome.kind == Wire::Outcome::Kind::would_block) {
      return;
    }
    if (outcome.kind != Wire::Outcome::Kind::done) {
      end_by(outcome);
      return;
    }
    cut_bytes_ = 0;
    count_sent(outcome.bytes, at);
  }
}

void Connection::count_sent(std::size_t bytes, MonotonicTime at) {
  unsent_.remove_prefix(bytes);
  sent_ += bytes;
  run_.totals.bytes += bytes;
  last_progress_at_ = at;
  while (!rendered_.empty() && rendered_.front().end <= sent_) {
    if (answers_) {
      answers_->sent(std::move(rendered_.front()), at);
    } else if (run_.record.is_open() && run_.file.empty()) {
      run_.record.sent(number_, handed_, rendered_.front().note);
    }
    rendered_.pop_front();
    ++handed_;
    ++run_.totals.events;
  }
}

void Connection::finish_sending() {
  const Wire::Outcome outcome = wire_.finish();
  if (outcome.kind == Wire::Outcome::Kind::would_block) {
    return;  // state and interest stay
  }
  if (outcome.kind != Wire::Outcome::Kind::done) {
    end_by(outcome);
    return;
  }
  state_ = State::finishing;
  last_progress_at_ = std::chrono::steady_clock::now();
}

void Connection::receive() {
  static std::array<char, kReadBytes> bytes;
  for (;;) {
    const Wire::Outcome outcome = wire_.receive(bytes);
    if (outcome.kind == Wire::Outcome::Kind::would_block) {
      return;
    }
    if (outcome.kind != Wire::Outcome::Kind::done) {
      end_by(outcome);
      return;
    }
    if (!answers_) {
      continue;  // a feed is one-way; whatever this is, it is no acknowledgement
    }
    last_progress_at_ = std::chrono::steady_clock::now();
    const std::string error = answers_->take({bytes.data(), outcome.bytes}, last_progress_at_);
    if (!error.empty()) {
      end("error", error);
      return;
    }
  }
}

bool Connection::waits_for_server() const {
  return state_ == State::handshaking || state_ == State::finishing ||
         (answers_ && answers_->waiting() > 0);
}

void Connection::give_up() {
  if (state_ == State::handshaking) {
    end("error", "no TLS handshake in time");
  } else if (answers_ && answers_->waiting() > 0) {
    end("error", "no answer from the server in time");
  } else {
    end("error", "no FIN from the server in time");
  }
}

void Connection::end_by(const Wire::Outcome& outcome) {
  if (outcome.kind == Wire::Outcome::Kind::reset) {
    end("rst", outcome.reason);
  } else if (outcome.kind != Wire::Outcome::Kind::finished) {
    end("error", outcome.reason);
  } else if (state_ != State::finishing) {
    end("error", "the server closed before the end");
  } else if (answers_ && answers_->waiting() > 0) {
    end("error", "the server closed, and answers are missing");
  } else {
    end("fin", "");
  }
}

void Connection::end(std::string_view how, std::string_view error) {
  state_ = State::ended;
  wire_ = {};
  if (answers_) {
    run_.answers.missing += answers_->waiting();
  }
  if (how == "fin") {
    ++run_.totals.closed_by_fin;
  } else {
    if (how == "rst") {
      ++run_.totals.closed_by_reset;
    } else {
      ++run_.totals.failed;
    }
    if (run_.first_error.empty()) {
      run_.first_error = error;
    }
  }
  if (run_.record.is_open()) {
    run_.record.ended(number_, how, handed_);
  }
}

}  // namespace sluice::load
