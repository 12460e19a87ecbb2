#include "common/s3/upload_gate.h"

#include <algorithm>

#include "common/base/check.h"

namespace sluice {

bool UploadGate::try_start(const Request& request, MonotonicTime now) {
  if (full()) {
    return false;
  }
  if (request.writes) {
    if (closed(request.prefix, now)) {
      return false;
    }
    if (const auto found = holds_.find(request.prefix); found != holds_.end()) {
      found->second.probe_granted = false;
      found->second.probe_at = now + options_.probe_interval;
    }
  }
  running_ += 1;
  return true;
}

void UploadGate::ended(const Request& request, const std::optional<StoreError>& error) {
  CHECK_THAT(running_ > 0);
  running_ -= 1;
  // The others that were on their way say the same of the same moment.
  const bool of_that_moment = until_next_halving_ > 0;
  until_next_halving_ -= of_that_moment ? 1 : 0;
  if (!error) {
    // One more for each round of answers.
    limit_ = std::min(limit_ + 1.0 / limit_, static_cast<double>(options_.concurrency));
    if (request.writes) {  // that it can be read says nothing
      successes_ += 1;
      failures_in_a_row_ = 0;
      holds_.erase(request.prefix);
    }
    return;
  }
  if (error->kind == StoreErrorKind::retry) {
    failures_in_a_row_ += 1;
    last_failure_ = *error;
  } else if (error->http_status != 0) {
    failures_in_a_row_ = 0;  // it answers
  }
  if (error->kind == StoreErrorKind::exists && request.writes) {
    holds_.erase(request.prefix);  // it looked at the condition: it would have written
  }
  if (error->slow_down && !of_that_moment) {
    limit_ = std::max(limit_ / 2, 1.0);
    until_next_halving_ = running_;
  }
}

void UploadGate::abandoned(std::size_t requests) {
  CHECK_THAT(running_ >= requests);
  running_ -= requests;
}

void UploadGate::hold(const std::string& prefix, StoreError error, MonotonicTime now) {
  const auto [entry, is_new] = holds_.try_emplace(prefix);
  entry->second.error = std::move(error);
  if (is_new) {
    entry->second.probe_at = now + options_.probe_interval;
  }
}

bool UploadGate::closed(const std::string& prefix, MonotonicTime now) const {
  const auto found = holds_.find(prefix);
  return found != holds_.end() && !found->second.probe_granted && now < found->second.probe_at;
}

bool UploadGate::grant_probe(const std::string& prefix, MonotonicTime now) {
  const auto found = holds_.find(prefix);
  if (found == holds_.end() || now < found->second.probe_at) {
    return false;
  }
  found->second.probe_granted = true;
  found->second.probe_at = now + options_.probe_interval;
  return true;
}

MonotonicTime UploadGate::probe_at() const {
  MonotonicTime earliest = MonotonicTime::max();
  for (const auto& [prefix, hold] : holds_) {
    earliest = std::min(earliest, hold.probe_at);
  }
  return earliest;
}

}  // namespace sluice
