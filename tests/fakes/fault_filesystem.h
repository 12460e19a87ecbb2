// FaultFilesystem: a disk in memory that fails on demand and loses what was not synced.
//
// Files and directories have a cached state, which calls see, and a durable one, which a crash
// leaves. As on Linux, a failed sync forgets what was dirty: the cache still shows it, a later good
// sync does not write it. Thread-safe. Directories are durable when they are made.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "common/platform/filesystem.h"

namespace sluice {

class FaultFilesystem final : public Filesystem {
 public:
  enum class Op {
    open,
    read,
    write,
    sync,
    allocate,
    truncate,
    list,
    info,
    rename,
    link,
    unlink,
    sync_directory,
  };

  struct Fault {
    Op op = Op::write;
    std::uint64_t after = 0;    // that many matching calls succeed first
    std::uint64_t times = 1;    // then that many fail
    int code = 0;               // errno; 0 for a write: it is short by all but `bytes`
    std::size_t bytes = 1;      // of a short write
    std::string path_has = {};  // empty: any path
    std::uint64_t seen = 0;     // counted by the filesystem
  };

  void fail(Fault fault);
  void clear_faults();
  // ENOSPC beyond that many bytes of file content and allocation, in pages.
  void set_capacity(std::optional<std::uint64_t> bytes);
  // After `operations` more calls every call fails with EIO and changes nothing, until restart() or
  // resume().
  void power_off_after(std::uint64_t operations);
  [[nodiscard]] bool powered_off() const;
  // The power comes back: unsynced sectors and entries have survived, or not, by the seed.
  void restart(std::uint64_t seed);
  // Only the process died: the cache is still there.
  void resume();
  // A copy of everything as calls see it, and that in place of what there is, all of it durable.
  class Image;
  [[nodiscard]] std::shared_ptr<const Image> save() const;
  void load(const Image& image);
  // How many calls there were, failed ones included.
  [[nodiscard]] std::uint64_t count(Op op, const std::string& path_has = {}) const;
  // Called before each call, without a lock held.
  std::function<void(Op, const Path&)> on_operation;

  // Flips a bit of a file, in cache and on disk.
  void flip_bit(const Path& path, std::uint64_t bit);
  // Puts something that is no regular file there.
  void make_odd(const Path& path, FileType type);

  Result<std::unique_ptr<File>> open(const Path& path, OpenMode mode) override;
  Result<std::vector<DirectoryEntry>> list(const Path& directory) override;
  Result<FileInfo> info(const Path& path) override;
  Status create_directories(const Path& directory) override;
  Status rename(const Path& from, const Path& to) override;
  Status rename_exclusive(const Path& from, const Path& to) override;
  Status link(const Path& from, const Path& to) override;
  Status unlink(const Path& path) override;
  Status sync_directory(const Path& directory) override;
  Result<DiskSpace> space(const Path& path) override;
  Result<std::unique_ptr<FileLock>> lock(const Path& path, std::string_view content) override;

 private:
  friend class FaultFile;
  friend class FaultLock;
  struct Inode {
    FileType type = FileType::regular;
    std::uint64_t number = 0;
    std::vector<std::byte> cached;
    std::vector<std::byte> durable;
    std::set<std::uint64_t> dirty_sectors;
    bool size_dirty = false;
    std::uint64_t allocated = 0;
    bool locked = false;
    [[nodiscard]] std::uint64_t footprint() const;
  };
  using InodePtr = std::shared_ptr<Inode>;
  struct Change {  // of a directory, not yet durable
    std::string removed;
    std::string added;
    InodePtr inode;
  };
  struct Directory {
    std::map<std::string, InodePtr> cached;
    std::map<std::string, InodePtr> durable;
    std::vector<Change> pending;
    void apply(const Change& change);
  };

  // The errno of this call, or 0; `short_bytes` for a write that shall be short.
  int before(Op op, const Path& path, std::size_t* short_bytes = nullptr);
  Directory* directory_of(const Path& path);
  InodePtr find(const Path& path);
  InodePtr make_inode(Inode inode);
  [[nodiscard]] std::uint64_t used() const;
  [[nodiscard]] static FileInfo info_of(const Inode& inode);
  static void survive(Inode& inode, std::mt19937_64& random);
  void begin_boot();

  mutable std::mutex mutex_;
  std::map<Path, Directory> directories_;
  std::vector<Fault> faults_;
  std::map<std::pair<Op, std::string>, std::uint64_t> counts_;
  std::optional<std::uint64_t> capacity_;
  std::optional<std::uint64_t> operations_left_;
  std::uint64_t next_inode_ = 1;
  std::uint64_t boot_ = 0;  // files opened before a restart are dead
};

}  // namespace sluice
