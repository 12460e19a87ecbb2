// UnixSocketFile: the name of a listening unix socket in the file system, from bind to the end.
// In: a path that settings give, never a client; out: a bound socket. At start, on one thread.
#pragma once

#include <sys/types.h>

#include <string>

#include "common/base/result.h"
#include "common/platform/unique_fd.h"

namespace sluice {

// Unlinks the name when it dies, provided that this process made it and the name is still that of
// our socket: a successor's stays.
class UnixSocketFile {
 public:
  UnixSocketFile() = default;
  UnixSocketFile(UnixSocketFile&& other) noexcept;
  UnixSocketFile& operator=(UnixSocketFile&& other) noexcept;
  UnixSocketFile(const UnixSocketFile&) = delete;
  UnixSocketFile& operator=(const UnixSocketFile&) = delete;
  ~UnixSocketFile();

  // Binds `socket` to the absolute `path` (at most 107 bytes), mode 0660, and listens. What a dead
  // process left there is removed: a socket on which nobody listens, nothing else. Two starts at
  // the same moment may both take it for left, and the later one has it. Errors are fatal, name
  // the path and say what to do.
  static Result<UnixSocketFile> listen(int socket, const std::string& path, int backlog);

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  void remove();

  std::string path_;  // empty: nothing to remove
  dev_t device_ = 0;
  ino_t inode_ = 0;
  pid_t process_ = 0;
};

}  // namespace sluice
