#include "common/spool/disk_watch.h"

#include <algorithm>

#include "common/log/log.h"

namespace sluice {
namespace {

constexpr std::string_view kBudget = "spool.budget";
constexpr std::string_view kQuarantine = "spool.quarantine";
// Listing a large folder takes a while: at most this share of the time goes into it.
constexpr int kMeasureShare = 20;
// Of two streams each may always have a third of the spool.
constexpr std::uint64_t kStreamsGuaranteedShare = 3;
// A disk that has no room for the reserve is not written full at each turn.
constexpr std::chrono::seconds kReserveRetry{10};

}  // namespace

DiskWatch::DiskWatch(SpoolDirectory& spool, const Clock& clock, Conditions& conditions,
                     std::atomic<bool>& pause_reading, Options options)
    : spool_(spool),
      clock_(clock),
      conditions_(conditions),
      pause_reading_(pause_reading),
      options_(options) {}

std::uint64_t DiskWatch::share_bytes() const {
  if (!options_.other) {
    return options_.bytes_max;
  }
  const std::uint64_t guaranteed = options_.bytes_max / kStreamsGuaranteedShare;
  return std::max(guaranteed, options_.bytes_max - std::min(std::max(bytes_of_other_, guaranteed),
                                                            options_.bytes_max));
}

std::uint64_t DiskWatch::high_bytes() const {
  const std::uint64_t share = share_bytes();
  return std::min(share / 100 * 95, share - std::min(options_.bytes_in_flight, share / 2));
}

std::uint64_t DiskWatch::low_bytes() const {
  return std::min(share_bytes() / 100 * 80, high_bytes() / 100 * 85);
}

void DiskWatch::look(std::uint64_t bytes_written) {
  if (clock_.now() >= next_at_) {
    measure(bytes_written);
  }
  bytes_used_ = bytes_measured_ + (bytes_written - std::min(bytes_written, written_at_measure_));
  decide();
}

void DiskWatch::measure(std::uint64_t bytes_written) {
  const MonotonicTime before = clock_.now();
  auto usage = spool_.measure();
  const auto took = clock_.now() - before;
  next_at_ =
      clock_.now() + std::max<std::chrono::nanoseconds>(options_.interval, took * kMeasureShare);
  if (!usage) {
    log::limited(log::Level::warning, "spool not measured", {{"error", usage.error().message}});
    return;
  }
  bytes_of_other_ = options_.other ? usage->of(*options_.other) : 0;
  bytes_measured_ = usage->bytes - bytes_of_other_;
  written_at_measure_ = bytes_written;
  if (usage->quarantine_bytes > options_.bytes_max / 10) {
    conditions_.raise(kQuarantine, Conditions::Severity::alarm,
                      spool_.quarantine().string() +
                          " holds over 10 % of SPOOL_MAX_BYTES: look at its .why.json files, then "
                          "move them away");
  } else {
    conditions_.clear(kQuarantine);
  }
}

void DiskWatch::decide() {
  if (bytes_used_ >= high_bytes()) {
    pause_reading_.store(true);
    conditions_.raise(kBudget, Conditions::Severity::not_ready,
                      "the spool in " + spool_.path().string() + " has reached " +
                          (options_.other ? "its share of SPOOL_MAX_BYTES" : "SPOOL_MAX_BYTES") +
                          ": reading stopped until uploads have freed some of it, nothing is lost");
  } else if (bytes_used_ <= low_bytes()) {
    pause_reading_.store(false);
    conditions_.clear(kBudget);
    if (clock_.now() >= reserve_at_ && !spool_.reserve().fill()) {
      reserve_at_ = clock_.now() + kReserveRetry;
    }
  }
}

}  // namespace sluice
