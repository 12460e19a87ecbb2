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
constexpr unsigned kCutBitsMax = 16;  // --cut random: writes of 1 byte to 64 KiB

}  // namespace

Connection::Connection(Run& run, const addrinfo& address, std::uint64_t share)
    : run_(run),
      number_(run.next_connection++),
      fd_(::socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)),
      share_(share),
      last_progress_at_(std::chrono::steady_clock::now()) {
  if (!fd_.valid()) {
    end("error", system_error("socket", errno).message);
    return;
  }
  if (run_.options.cut_random) {
    const int on = 1;
    ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  if (::connect(fd_.get(), address.ai_addr, address.ai_addrlen) != 0 && errno != EINPROGRESS) {
    end("error", system_error("connect", errno).message);
  }
}

std::uint32_t Connection::interest() const {
  const bool has_work = !unsent_.empty() || begun_ < granted_ || begun_ == share_;
  const bool wants_to_write = state_ == State::connecting || (state_ == State::sending && has_work);
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
    ::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &length);
    if (error != 0) {
      end("error", system_error("connect", error).message);
      return;
    }
    reached_server_ = true;
    ++run_.totals.opened;
    state_ = State::sending;
    last_progress_at_ = std::chrono::steady_clock::now();
  }
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP)) != 0) {
    receive();
  }
  if (state_ == State::sending) {
    send_some();
  }
}

void Connection::refill() {
  if (!run_.file.empty()) {
    ++begun_;
    unsent_ = run_.file;
    sent_ = 0;
    rendered_.push_back({unsent_.size(), {}});
    return;
  }
  buffer_.clear();
  sent_ = 0;
  while (begun_ < granted_ && buffer_.size() < kBufferBytes) {
    run_.events.append(begun_ == 0, buffer_, rendered_);
    ++begun_;
  }
  unsent_ = buffer_;
}

void Connection::send_some() {
  for (int turn = 0; turn < kSendsPerTurn; ++turn) {
    if (unsent_.empty()) {
      if (begun_ == share_) {
        finish_sending();
        return;
      }
      if (begun_ == granted_) {
        return;  // until the next grant
      }
      refill();
    }
    std::size_t length = unsent_.size();
    if (run_.options.cut_random) {
      const std::uint64_t most = std::uint64_t{1} << run_.random.below(kCutBitsMax + 1);
      length = std::min<std::size_t>(length, 1 + run_.random.below(most));
    }
    const ssize_t sent = ::send(fd_.get(), unsent_.data(), length, MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EAGAIN || errno == EINTR) {
        return;
      }
      const bool reset = errno == ECONNRESET || errno == EPIPE;
      end(reset ? "rst" : "error", system_error("send", errno).message);
      return;
    }
    count_sent(static_cast<std::size_t>(sent));
  }
}

void Connection::count_sent(std::size_t bytes) {
  unsent_.remove_prefix(bytes);
  sent_ += bytes;
  run_.totals.bytes += bytes;
  last_progress_at_ = std::chrono::steady_clock::now();
  while (!rendered_.empty() && rendered_.front().end <= sent_) {
    if (run_.record.is_open() && run_.file.empty()) {
      run_.record.sent(number_, handed_, rendered_.front().note);
    }
    rendered_.pop_front();
    ++handed_;
    ++run_.totals.events;
  }
}

void Connection::finish_sending() {
  ::shutdown(fd_.get(), SHUT_WR);
  state_ = State::finishing;
  last_progress_at_ = std::chrono::steady_clock::now();
}

void Connection::receive() {
  std::array<char, 4096> ignored{};
  for (;;) {
    const ssize_t received = ::recv(fd_.get(), ignored.data(), ignored.size(), 0);
    if (received > 0) {
      continue;  // a feed is one-way; whatever this is, it is no acknowledgement
    }
    if (received == 0) {
      if (state_ == State::finishing) {
        end("fin", "");
      } else {
        end("error", "the server closed before the end");
      }
      return;
    }
    if (errno == EAGAIN || errno == EINTR) {
      return;
    }
    end(errno == ECONNRESET ? "rst" : "error", system_error("receive", errno).message);
    return;
  }
}

void Connection::give_up(std::string_view why) { end("error", why); }

void Connection::end(std::string_view how, std::string_view error) {
  state_ = State::ended;
  fd_.reset();
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
