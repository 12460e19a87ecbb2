#include "common/spool/disk_reserve.h"

#include <cerrno>

namespace sluice {
namespace {

bool no_space(const Status& status) {
  return !status && (status.error().code == ENOSPC || status.error().code == EDQUOT);
}

}  // namespace

bool DiskReserve::fill() {
  const std::scoped_lock lock(mutex_);
  if (held_) {
    return true;
  }
  auto file = filesystem_.open(path_, OpenMode::create_or_open);
  if (!file) {
    return false;
  }
  // Written, not only allocated: a file system may ignore allocate().
  const std::vector<std::byte> zeros(kReserveBytes);
  held_ = write_all(**file, zeros, 0).ok() && (*file)->fdatasync().ok();
  if (!held_) {
    (void)(*file)->truncate(0).ok();
  }
  return held_;
}

Status DiskReserve::spend(const std::function<Status()>& write) {
  Status status = write();
  if (!no_space(status)) {
    return status;
  }
  {
    const std::scoped_lock lock(mutex_);
    auto file = filesystem_.open(path_, OpenMode::create_or_open);
    if (!file || !(*file)->truncate(0)) {
      return status;
    }
    held_ = false;
  }
  return write();
}

}  // namespace sluice
