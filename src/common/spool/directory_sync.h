// DirectorySync: makes entries of one directory durable, for all threads that make some there.
// After a failed sync of a directory the kernel may have forgotten every entry made since the last
// good one, and a later good sync says nothing of them: whoever made one makes it again. Thread-
// safe; syncs of one directory take turns.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>

#include "common/platform/filesystem.h"

namespace sluice {

class DirectorySync {
 public:
  using Epoch = std::uint64_t;

  DirectorySync(Filesystem& filesystem, Path directory)
      : filesystem_(filesystem), directory_(std::move(directory)) {}

  // Take it before making an entry.
  [[nodiscard]] Epoch epoch() const;

  // Good only if every entry made after `since` was taken is durable now. Otherwise make them
  // again: fatal with the errno of the sync, or transient (EAGAIN) where this sync was good but
  // one in between failed.
  Status sync(Epoch since);

  // Calls `make_entry` and syncs, up to three times until both are good. `make_entry`
  // must be able to run again; its own errors end it at once.
  Status make(const std::function<Status()>& make_entry);

  [[nodiscard]] const Path& directory() const { return directory_; }

 private:
  static constexpr int kAttemptsMax = 3;

  Filesystem& filesystem_;
  const Path directory_;
  mutable std::mutex mutex_;
  Epoch failures_ = 0;
};

}  // namespace sluice
