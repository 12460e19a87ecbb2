// FaultFilesystem's open files and locks.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "fakes/fault_filesystem.h"

namespace sluice {
inline constexpr std::uint64_t kSectorBytes = 512;
inline constexpr std::uint64_t kPageBytes = 4096;

inline std::uint64_t pages(std::uint64_t bytes) {
  return (bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
}

inline Error failed(int code, const Path& path) { return system_error(path.string(), code); }

class FaultFile final : public File {
 public:
  FaultFile(FaultFilesystem& filesystem, FaultFilesystem::InodePtr inode, Path path)
      : filesystem_(filesystem),
        inode_(std::move(inode)),
        path_(std::move(path)),
        boot_(filesystem.boot_) {}

  Result<std::size_t> pwritev(std::span<const std::span<const std::byte>> parts,
                              std::uint64_t offset) override {
    std::size_t limit = SIZE_MAX;
    if (const int code = filesystem_.before(FaultFilesystem::Op::write, path_, &limit)) {
      return failed(code, path_);
    }
    const std::scoped_lock lock(filesystem_.mutex_);
    if (dead()) {
      return failed(EIO, path_);
    }
    std::size_t total = 0;
    for (const auto& part : parts) {
      for (std::size_t done = 0; done < part.size();) {
        const std::uint64_t at = offset + total;
        const std::size_t room = kPageBytes - at % kPageBytes;
        const std::size_t bytes = std::min({part.size() - done, room, limit - total});
        if (bytes == 0 || !make_room(at + bytes)) {
          return total > 0 ? Result<std::size_t>(total) : failed(ENOSPC, path_);
        }
        std::memcpy(inode_->cached.data() + at, part.data() + done, bytes);
        for (std::uint64_t s = at / kSectorBytes; s <= (at + bytes - 1) / kSectorBytes; ++s) {
          inode_->dirty_sectors.insert(s);
        }
        done += bytes;
        total += bytes;
      }
    }
    return total;
  }

  Result<std::size_t> pread(std::span<std::byte> into, std::uint64_t offset) const override {
    if (const int code = filesystem_.before(FaultFilesystem::Op::read, path_)) {
      return failed(code, path_);
    }
    const std::scoped_lock lock(filesystem_.mutex_);
    if (dead()) {
      return failed(EIO, path_);
    }
    const auto& content = inode_->cached;
    if (offset >= content.size()) {
      return std::size_t{0};
    }
    const std::size_t bytes = std::min<std::size_t>(into.size(), content.size() - offset);
    std::memcpy(into.data(), content.data() + offset, bytes);
    return bytes;
  }

  Status fdatasync() override {
    const int code = filesystem_.before(FaultFilesystem::Op::sync, path_);
    const std::scoped_lock lock(filesystem_.mutex_);
    if (code != 0 || dead()) {
      if (!filesystem_.operations_left_ || *filesystem_.operations_left_ > 0) {
        inode_->dirty_sectors.clear();  // forgotten: no later sync writes them
        inode_->size_dirty = false;
      }
      return failed(code != 0 ? code : EIO, path_);
    }
    inode_->durable.resize(inode_->size_dirty ? inode_->cached.size() : inode_->durable.size());
    for (const std::uint64_t sector : inode_->dirty_sectors) {
      const std::uint64_t begin = sector * kSectorBytes;
      const std::uint64_t end =
          std::min<std::uint64_t>(begin + kSectorBytes, inode_->cached.size());
      if (begin < end) {
        inode_->durable.resize(std::max<std::size_t>(inode_->durable.size(), end));
        std::memcpy(inode_->durable.data() + begin, inode_->cached.data() + begin, end - begin);
      }
    }
    inode_->dirty_sectors.clear();
    inode_->size_dirty = false;
    return {};
  }

  Status allocate(std::uint64_t bytes) override {
    if (const int code = filesystem_.before(FaultFilesystem::Op::allocate, path_)) {
      return failed(code, path_);
    }
    const std::scoped_lock lock(filesystem_.mutex_);
    const std::uint64_t growth = pages(bytes) - std::min(pages(bytes), inode_->footprint());
    if (filesystem_.capacity_ && filesystem_.used() + growth > *filesystem_.capacity_) {
      return failed(ENOSPC, path_);
    }
    inode_->allocated = std::max(inode_->allocated, bytes);
    return {};
  }

  Status truncate(std::uint64_t bytes) override {
    if (const int code = filesystem_.before(FaultFilesystem::Op::truncate, path_)) {
      return failed(code, path_);
    }
    const std::scoped_lock lock(filesystem_.mutex_);
    inode_->cached.resize(bytes);
    inode_->allocated = 0;
    inode_->size_dirty = true;
    return {};
  }

  // What is not dirty is read from the disk again: after a failed sync, what that forgot too.
  Status drop_cache() override {
    const std::scoped_lock lock(filesystem_.mutex_);
    std::vector<std::byte>& cached = inode_->cached;
    const std::vector<std::byte>& durable = inode_->durable;
    for (std::uint64_t begin = 0; begin < cached.size(); begin += kSectorBytes) {
      if (dead() || inode_->dirty_sectors.contains(begin / kSectorBytes)) {
        continue;
      }
      const std::uint64_t end = std::min<std::uint64_t>(begin + kSectorBytes, cached.size());
      const std::uint64_t held = std::clamp<std::uint64_t>(durable.size(), begin, end);
      if (held > begin) {
        std::memcpy(cached.data() + begin, durable.data() + begin, held - begin);
      }
      std::memset(cached.data() + held, 0, end - held);
    }
    return {};
  }

  [[nodiscard]] Result<FileInfo> info() const override {
    const std::scoped_lock lock(filesystem_.mutex_);
    return FaultFilesystem::info_of(*inode_);
  }

 private:
  [[nodiscard]] bool dead() const { return boot_ != filesystem_.boot_; }

  // Grows the file to `end` bytes if the disk has room.
  bool make_room(std::uint64_t end) {
    if (end <= inode_->cached.size()) {
      return true;
    }
    const std::uint64_t growth = pages(end) - std::min(pages(end), inode_->footprint());
    if (filesystem_.capacity_ && growth > 0 &&
        filesystem_.used() + growth > *filesystem_.capacity_) {
      return false;
    }
    inode_->cached.resize(end);
    inode_->size_dirty = true;
    return true;
  }

  FaultFilesystem& filesystem_;
  FaultFilesystem::InodePtr inode_;
  Path path_;
  std::uint64_t boot_;
};

class FaultLock final : public FileLock {
 public:
  FaultLock(FaultFilesystem& filesystem, FaultFilesystem::InodePtr inode)
      : filesystem_(filesystem), inode_(std::move(inode)) {}
  ~FaultLock() override {
    const std::scoped_lock lock(filesystem_.mutex_);
    inode_->locked = false;
  }
  FaultLock(const FaultLock&) = delete;
  FaultLock& operator=(const FaultLock&) = delete;

 private:
  FaultFilesystem& filesystem_;
  FaultFilesystem::InodePtr inode_;
};

}  // namespace sluice
