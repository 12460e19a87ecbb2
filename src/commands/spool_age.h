// SpoolAge: how old the oldest event is that no object holds yet. Looked up once a second by the
// main thread, read by the admin server's.
#pragma once

#include <atomic>
#include <memory>

#include "common/platform/filesystem.h"
#include "common/spool/stream_directory.h"

namespace sluice {

class SpoolAge {
 public:
  // `stream` may be filled later; nothing is looked at before that.
  SpoolAge(Filesystem& filesystem, const std::unique_ptr<StreamDirectory>& stream)
      : filesystem_(filesystem), stream_(stream) {}

  // Lists the folder and reads the oldest segment's first record, at most once a second.
  void look(MonotonicTime now);
  // 0 where nothing waits. Thread-safe.
  [[nodiscard]] double seconds(WallTime now) const;

 private:
  Filesystem& filesystem_;
  const std::unique_ptr<StreamDirectory>& stream_;
  MonotonicTime looked_at_{};
  std::atomic<std::int64_t> oldest_ns_{0};  // wall clock since the epoch; 0: none
};

}  // namespace sluice
