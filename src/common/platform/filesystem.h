// Filesystem and File: the only way to the disk, so that faults and crashes can be simulated.
// Every error carries the errno in Error::code and names the path; the kind is always fatal here
// (callers decide what an errno means to them). All calls block. Files are thread-compatible,
// except that pread may run on several threads; Filesystem is thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/base/units.h"

namespace sluice {

using Path = std::filesystem::path;

enum class FileType : std::uint8_t { regular, directory, symlink, other };

struct FileInfo {
  FileType type = FileType::other;
  std::uint64_t bytes = 0;            // st_size
  std::uint64_t bytes_allocated = 0;  // st_blocks * 512
  WallTime modified_at{};
  std::uint32_t owner = 0;  // uid
  std::uint32_t mode = 0;   // permission bits
  std::uint64_t inode = 0;  // st_ino: the same under every name; used again once the file is gone
};

struct DirectoryEntry {
  std::string name;
  FileInfo info;  // of the entry itself: links are not followed
};

struct DiskSpace {
  std::uint64_t bytes_available = 0;
  std::uint64_t bytes_total = 0;
};

class File {
 public:
  virtual ~File() = default;
  File() = default;
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  // Writes some of `parts`, in order, at `offset`; returns how many bytes (may be short; never 0
  // unless parts are empty). EINTR is repeated inside.
  virtual Result<std::size_t> pwritev(std::span<const std::span<const std::byte>> parts,
                                      std::uint64_t offset) = 0;
  // Reads up to into.size() bytes; fewer only at the end of the file.
  virtual Result<std::size_t> pread(std::span<std::byte> into, std::uint64_t offset) const = 0;
  // A failed one is never repeated on the same file (the kernel forgets the dirty pages).
  virtual Status fdatasync() = 0;
  // fallocate(FALLOC_FL_KEEP_SIZE). A file system that cannot is no error.
  virtual Status allocate(std::uint64_t bytes) = 0;
  virtual Status truncate(std::uint64_t bytes) = 0;
  // posix_fadvise(POSIX_FADV_DONTNEED) of the whole file: the next read is from the disk.
  virtual Status drop_cache() = 0;
  [[nodiscard]] virtual Result<FileInfo> info() const = 0;
};

// Writes all of `parts` at `offset`, through as many calls as short writes need.
Status write_all(File& file, std::span<const std::span<const std::byte>> parts,
                 std::uint64_t offset);
Status write_all(File& file, std::span<const std::byte> bytes, std::uint64_t offset);

enum class OpenMode : std::uint8_t {
  read,
  read_write,      // must exist
  create_new,      // read and write; must not exist (O_EXCL); mode 0600
  create_or_open,  // read and write; mode 0600
};

// An advisory lock of the whole file, held until it dies.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

class Filesystem {
 public:
  virtual ~Filesystem() = default;

  // Never follows a symbolic link in the last component and never blocks on a FIFO.
  virtual Result<std::unique_ptr<File>> open(const Path& path, OpenMode mode) = 0;
  virtual Result<std::vector<DirectoryEntry>> list(const Path& directory) = 0;
  virtual Result<FileInfo> info(const Path& path) = 0;
  // mode 0700; existing directories are no error.
  virtual Status create_directories(const Path& directory) = 0;
  virtual Status rename(const Path& from, const Path& to) = 0;
  // renameat2(RENAME_NOREPLACE): EEXIST where `to` exists.
  virtual Status rename_exclusive(const Path& from, const Path& to) = 0;
  virtual Status link(const Path& from, const Path& to) = 0;
  virtual Status unlink(const Path& path) = 0;
  // Makes the entries of `directory` durable.
  virtual Status sync_directory(const Path& directory) = 0;
  virtual Result<DiskSpace> space(const Path& path) = 0;
  // flock(LOCK_EX | LOCK_NB) on a file that is created where missing; EWOULDBLOCK where another
  // process holds it. `content` replaces what the file says (the holder's pid).
  virtual Result<std::unique_ptr<FileLock>> lock(const Path& path, std::string_view content) = 0;
};

// The whole file as text, at most `bytes_max` (EFBIG beyond).
Result<std::string> read_file(Filesystem& filesystem, const Path& path, std::uint64_t bytes_max);

// Makes `path` hold `content` durably and at once: temporary file, sync, rename, directory sync.
Status replace_file(Filesystem& filesystem, const Path& path, std::string_view content);

}  // namespace sluice
