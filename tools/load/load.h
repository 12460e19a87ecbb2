// The load loop: opens the connections, paces them, drives them by epoll until all have ended.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "connection.h"

struct addrinfo;

namespace sluice::load {

class Load {
 public:
  // What it is given besides its options; all outlive it.
  struct Links {
    Record& record;
    std::string_view file;        // with --file: its content
    const TlsClient* tls;         // with --tls
    std::string_view token_line;  // with --token
  };

  Load(const Options& options, const Links& links);

  // Blocks until every connection has ended. `interrupted` set: ends like --seconds. False where
  // the host cannot be resolved; first_error() says why.
  bool run(const std::atomic<bool>& interrupted);

  [[nodiscard]] const Totals& totals() const { return run_.totals; }
  [[nodiscard]] const AnswerTotals& answers() const { return run_.answers; }
  [[nodiscard]] const std::string& first_error() const { return run_.first_error; }
  [[nodiscard]] std::chrono::duration<double> elapsed() const;

 private:
  // A place for one connection at a time, with the share that it has left to send.
  struct Lane {
    std::unique_ptr<Connection> connection;
    std::uint64_t share = 0;
    std::uint32_t interest = 0;
    MonotonicTime retry_at{};  // without a connection
    int refusals = 0;          // in a row
    bool done = false;
  };

  void open(Lane& lane);
  void grant_by_rate();
  void update_interest(Lane& lane);
  void after_end(Lane& lane) const;
  void tend_lanes();
  void stop_all();
  [[nodiscard]] int wait_ms() const;
  void show_progress(bool last);

  const Options& options_;
  Run run_;
  UniqueFd epoll_;
  const addrinfo* address_ = nullptr;
  std::vector<Lane> lanes_;
  std::size_t next_lane_ = 0;       // whose turn it is to be granted an event
  std::uint64_t granted_ = 0;       // with a rate
  std::uint64_t total_events_ = 0;  // 0: unknown
  bool stopping_ = false;
  bool progress_ = false;
  MonotonicTime started_at_{};
  MonotonicTime ended_at_{};
  MonotonicTime progress_at_{};
};

}  // namespace sluice::load
