#include "common/spool/directory_sync.h"

#include <cerrno>

namespace sluice {

DirectorySync::Epoch DirectorySync::epoch() const {
  const std::scoped_lock lock(mutex_);
  return failures_;
}

Status DirectorySync::sync(Epoch since) {
  // Held across the sync: a failure must be counted before another thread's sync may look good.
  const std::scoped_lock lock(mutex_);
  if (Status status = filesystem_.sync_directory(directory_); !status) {
    ++failures_;
    return status;
  }
  if (failures_ != since) {
    return transient("sync of " + directory_.string() + " failed in between", EAGAIN);
  }
  return {};
}

Status DirectorySync::make(const std::function<Status()>& make_entry) {
  Status status;
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    const Epoch before = epoch();
    if (Status made = make_entry(); !made) {
      return made;
    }
    status = sync(before);
    if (status) {
      break;
    }
  }
  return status;
}

}  // namespace sluice
