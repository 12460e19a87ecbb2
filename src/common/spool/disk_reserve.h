// DiskReserve: a file whose space is given up when the disk is full, so that side seals and reject
// lists can still be written and egress goes on to free more (FAULTS D17). Thread-safe.
#pragma once

#include <functional>
#include <mutex>

#include "common/platform/filesystem.h"

namespace sluice {

class DiskReserve {
 public:
  DiskReserve(Filesystem& filesystem, Path path)
      : filesystem_(filesystem), path_(std::move(path)) {}

  // Takes the space where it is not held; cheap where it is. False on a full disk, say.
  bool fill();

  // Runs `write`; where it fails for want of space gives the reserve up and runs it again.
  Status spend(const std::function<Status()>& write);

 private:
  static constexpr std::uint64_t kReserveBytes = kMiB;

  Filesystem& filesystem_;
  const Path path_;
  std::mutex mutex_;
  bool held_ = false;
};

}  // namespace sluice
