// UploadGate: which request may leave now. It bounds how many run at once, halves that when the
// store asks for less and lets it grow again slowly, and holds back a prefix under which the store
// refuses to write, but for one probe an interval. For one thread; times are the caller's.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "common/s3/object_store.h"

namespace sluice {

class UploadGate {
 public:
  struct Options {
    std::size_t concurrency = 8;
    std::chrono::milliseconds probe_interval{60'000};
  };
  struct Request {
    const std::string& prefix;
    bool writes = true;  // only these are held back, and only these end a hold
  };
  struct Hold {
    StoreError error;
    MonotonicTime probe_at{};
    bool probe_granted = false;
  };

  explicit UploadGate(Options options)
      : options_(options), limit_(static_cast<double>(options.concurrency)) {}

  // True: a request of this kind leaves now, and ended() is called for it.
  bool try_start(const Request& request, MonotonicTime now);
  // No error: the store did as it was told.
  void ended(const Request& request, const std::optional<StoreError>& error);
  // So many requests have nobody left to tell what became of them.
  void abandoned(std::size_t requests);

  // Until allow_multipart() no multipart upload may begin.
  void hold_multipart() { multipart_allowed_ = false; }
  void allow_multipart() { multipart_allowed_ = true; }
  [[nodiscard]] bool multipart_allowed() const { return multipart_allowed_; }

  // The store refuses to write under this prefix for a reason that an operator must mend.
  void hold(const std::string& prefix, StoreError error, MonotonicTime now);
  [[nodiscard]] bool held(const std::string& prefix) const { return holds_.contains(prefix); }
  // Held, and no probe is due.
  [[nodiscard]] bool closed(const std::string& prefix, MonotonicTime now) const;
  [[nodiscard]] const std::map<std::string, Hold>& holds() const { return holds_; }
  // True once an interval: the next write under this prefix may leave, as the probe.
  bool grant_probe(const std::string& prefix, MonotonicTime now);
  // When the next probe is due; max() where nothing is held.
  [[nodiscard]] MonotonicTime probe_at() const;

  [[nodiscard]] bool full() const { return running_ >= limit(); }
  [[nodiscard]] std::size_t limit() const { return static_cast<std::size_t>(limit_); }
  [[nodiscard]] std::size_t running() const { return running_; }
  [[nodiscard]] std::chrono::milliseconds probe_interval() const { return options_.probe_interval; }
  // Writes that the store carried out, ever.
  [[nodiscard]] std::uint64_t successes() const { return successes_; }
  // Transient failures since the last such success, and the last of them.
  [[nodiscard]] std::uint64_t failures_in_a_row() const { return failures_in_a_row_; }
  [[nodiscard]] const StoreError& last_failure() const { return last_failure_; }

 private:
  Options options_;
  std::map<std::string, Hold> holds_;
  double limit_;
  std::size_t running_ = 0;
  bool multipart_allowed_ = true;
  std::size_t until_next_halving_ = 0;  // answers of requests that left before the last one
  std::uint64_t successes_ = 0;
  std::uint64_t failures_in_a_row_ = 0;
  StoreError last_failure_;
};

}  // namespace sluice
