#include "common/platform/posix_filesystem.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "common/base/buffer.h"
#include "common/platform/unique_fd.h"

namespace sluice {
namespace {

constexpr std::size_t kIovMax = 1024;  // IOV_MAX of Linux

FileInfo info_of(const struct stat& st) {
  FileInfo info;
  info.type = S_ISREG(st.st_mode)   ? FileType::regular
              : S_ISDIR(st.st_mode) ? FileType::directory
              : S_ISLNK(st.st_mode) ? FileType::symlink
                                    : FileType::other;
  info.bytes = static_cast<std::uint64_t>(st.st_size);
  info.bytes_allocated = static_cast<std::uint64_t>(st.st_blocks) * 512;
  info.modified_at = WallTime(std::chrono::seconds(st.st_mtim.tv_sec) +
                              std::chrono::nanoseconds(st.st_mtim.tv_nsec));
  info.owner = st.st_uid;
  info.mode = st.st_mode & 07777U;
  info.inode = st.st_ino;
  return info;
}

Error failed(const char* call, const Path& path) {
  const int code = errno;
  return system_error(std::string(call) + " " + path.string(), code);
}

template <class Call>
auto retry_on_eintr(Call&& call) {
  auto result = call();
  while (result < 0 && errno == EINTR) {
    result = call();
  }
  return result;
}

class PosixFile final : public File {
 public:
  PosixFile(UniqueFd fd, Path path) : fd_(std::move(fd)), path_(std::move(path)) {}

  Result<std::size_t> pwritev(std::span<const std::span<const std::byte>> parts,
                              std::uint64_t offset) override {
    std::array<iovec, kIovMax> vectors;
    std::size_t used = 0;
    for (const auto& part : parts.first(std::min(parts.size(), kIovMax))) {
      vectors[used++] = {const_cast<std::byte*>(part.data()), part.size()};
    }
    const auto written = retry_on_eintr([&] {
      return ::pwritev(fd_.get(), vectors.data(), static_cast<int>(used),
                       static_cast<off_t>(offset));
    });
    if (written < 0) {
      return failed("write", path_);
    }
    return static_cast<std::size_t>(written);
  }

  Result<std::size_t> pread(std::span<std::byte> into, std::uint64_t offset) const override {
    std::size_t total = 0;
    while (total < into.size()) {
      const auto got = retry_on_eintr([&] {
        return ::pread(fd_.get(), into.data() + total, into.size() - total,
                       static_cast<off_t>(offset + total));
      });
      if (got < 0) {
        return failed("read", path_);
      }
      if (got == 0) {
        break;
      }
      total += static_cast<std::size_t>(got);
    }
    return total;
  }

  Status fdatasync() override {
    return ::fdatasync(fd_.get()) == 0 ? Status() : failed("fdatasync", path_);
  }

  Status allocate(std::uint64_t bytes) override {
    const int result = static_cast<int>(retry_on_eintr(
        [&] { return ::fallocate(fd_.get(), FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(bytes)); }));
    if (result == 0 || errno == EOPNOTSUPP || errno == ENOSYS) {
      return {};
    }
    return failed("fallocate", path_);
  }

  Status truncate(std::uint64_t bytes) override {
    const int result = static_cast<int>(
        retry_on_eintr([&] { return ::ftruncate(fd_.get(), static_cast<off_t>(bytes)); }));
    return result == 0 ? Status() : failed("truncate", path_);
  }

  Status drop_cache() override {
    errno = ::posix_fadvise(fd_.get(), 0, 0, POSIX_FADV_DONTNEED);
    return errno == 0 ? Status() : failed("fadvise", path_);
  }

  [[nodiscard]] Result<FileInfo> info() const override {
    struct stat st {};
    if (::fstat(fd_.get(), &st) != 0) {
      return failed("fstat", path_);
    }
    return info_of(st);
  }

 private:
  UniqueFd fd_;
  Path path_;
};

class PosixFileLock final : public FileLock {
 public:
  explicit PosixFileLock(UniqueFd fd) : fd_(std::move(fd)) {}

 private:
  UniqueFd fd_;
};

int open_flags(OpenMode mode) {
  constexpr int kAlways = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
  switch (mode) {
    case OpenMode::read:
      return O_RDONLY | kAlways;
    case OpenMode::read_write:
      return O_RDWR | kAlways;
    case OpenMode::create_new:
      return O_RDWR | O_CREAT | O_EXCL | kAlways;
    case OpenMode::create_or_open:
      break;
  }
  return O_RDWR | O_CREAT | kAlways;
}

Status status_of(int result, const char* call, const Path& path) {
  return result == 0 ? Status() : failed(call, path);
}

}  // namespace

Result<std::unique_ptr<File>> PosixFilesystem::open(const Path& path, OpenMode mode) {
  UniqueFd fd(static_cast<int>(
      retry_on_eintr([&] { return ::open(path.c_str(), open_flags(mode), 0600); })));
  if (!fd.valid()) {
    return failed("open", path);
  }
  return std::unique_ptr<File>(std::make_unique<PosixFile>(std::move(fd), path));
}

Result<std::vector<DirectoryEntry>> PosixFilesystem::list(const Path& directory) {
  const std::unique_ptr<DIR, int (*)(DIR*)> open_directory(::opendir(directory.c_str()),
                                                           &::closedir);
  if (open_directory == nullptr) {
    return failed("list", directory);
  }
  std::vector<DirectoryEntry> entries;
  for (;;) {
    errno = 0;
    // The stream is this call's own.
    const dirent* entry = ::readdir(open_directory.get());  // NOLINT(concurrency-mt-unsafe)
    if (entry == nullptr) {
      break;
    }
    const std::string name = entry->d_name;
    struct stat st {};
    if (name == "." || name == ".." ||
        ::fstatat(::dirfd(open_directory.get()), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
      continue;  // gone since readdir saw it
    }
    entries.push_back({name, info_of(st)});
  }
  if (errno != 0) {
    return failed("list", directory);
  }
  return entries;
}

Result<FileInfo> PosixFilesystem::info(const Path& path) {
  struct stat st {};
  if (::lstat(path.c_str(), &st) != 0) {
    return failed("stat", path);
  }
  return info_of(st);
}

Status PosixFilesystem::create_directories(const Path& directory) {
  Path so_far;
  for (const auto& component : directory) {
    so_far /= component;
    if (::mkdir(so_far.c_str(), 0700) != 0 && errno != EEXIST) {
      struct stat st {};
      const int code = errno;
      if (::stat(so_far.c_str(), &st) != 0 || !S_ISDIR(st.st_mode)) {
        return system_error("mkdir " + so_far.string(), code);
      }
    }
  }
  return {};
}

Status PosixFilesystem::rename(const Path& from, const Path& to) {
  return status_of(::rename(from.c_str(), to.c_str()), "rename", from);
}

Status PosixFilesystem::rename_exclusive(const Path& from, const Path& to) {
  return status_of(::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE),
                   "rename", to);
}

Status PosixFilesystem::link(const Path& from, const Path& to) {
  return status_of(::link(from.c_str(), to.c_str()), "link", to);
}

Status PosixFilesystem::unlink(const Path& path) {
  return status_of(::unlink(path.c_str()), "unlink", path);
}

Status PosixFilesystem::sync_directory(const Path& directory) {
  const UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) {
    return failed("open", directory);
  }
  return status_of(::fsync(fd.get()), "fsync", directory);
}

Result<DiskSpace> PosixFilesystem::space(const Path& path) {
  struct statvfs vfs {};
  if (::statvfs(path.c_str(), &vfs) != 0) {
    return failed("statvfs", path);
  }
  return DiskSpace{vfs.f_bavail * vfs.f_frsize, vfs.f_blocks * vfs.f_frsize};
}

Result<std::unique_ptr<FileLock>> PosixFilesystem::lock(const Path& path,
                                                        std::string_view content) {
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) {
    return failed("open", path);
  }
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    return failed("lock", path);
  }
  if (::ftruncate(fd.get(), 0) != 0 || ::pwrite(fd.get(), content.data(), content.size(), 0) !=
                                           static_cast<ssize_t>(content.size())) {
    return failed("write", path);
  }
  return std::unique_ptr<FileLock>(std::make_unique<PosixFileLock>(std::move(fd)));
}

}  // namespace sluice
