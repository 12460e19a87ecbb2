// DiskWatch: holds a stream's use of the disk against its share of SPOOL_MAX_BYTES. At the high
// watermark reading stops (nothing is dropped), at the low one it goes on. A stream that shares the
// spool with another may take all that the other does not, but for the third that is the other's.
// Thread-compatible: Rotate's.
#pragma once

#include <atomic>
#include <chrono>
#include <optional>

#include "common/admin/conditions.h"
#include "common/platform/clock.h"
#include "common/spool/spool_directory.h"

namespace sluice {

class DiskWatch {
 public:
  struct Options {
    std::uint64_t bytes_max = 10 * kGiB;  // SPOOL_MAX_BYTES
    std::optional<Stream> other;          // that shares it
    // What may still come once reading has stopped: ingest's share of memory and two segments.
    std::uint64_t bytes_in_flight = 0;
    std::chrono::nanoseconds interval = std::chrono::milliseconds(250);
  };
  DiskWatch(SpoolDirectory& spool, const Clock& clock, Conditions& conditions,
            std::atomic<bool>& pause_reading, Options options);

  // Measures where it is time to, else adds what was written since (`bytes_written`: of a counter
  // that only grows).
  void look(std::uint64_t bytes_written);
  [[nodiscard]] MonotonicTime next_at() const { return next_at_; }
  // Of the whole spool but for the other stream's folder.
  [[nodiscard]] std::uint64_t bytes_used() const { return bytes_used_; }
  // What that may be at most.
  [[nodiscard]] std::uint64_t share_bytes() const;
  [[nodiscard]] std::uint64_t high_bytes() const;
  [[nodiscard]] std::uint64_t low_bytes() const;

 private:
  void measure(std::uint64_t bytes_written);
  void decide();

  SpoolDirectory& spool_;
  const Clock& clock_;
  Conditions& conditions_;
  std::atomic<bool>& pause_reading_;
  const Options options_;
  MonotonicTime next_at_{};
  MonotonicTime reserve_at_{};  // after a failure to fill it
  std::uint64_t bytes_measured_ = 0;
  std::uint64_t written_at_measure_ = 0;
  std::uint64_t bytes_used_ = 0;
  std::uint64_t bytes_of_other_ = 0;
};

}  // namespace sluice
