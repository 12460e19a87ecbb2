#include "common/net/unix_socket_file.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace sluice {
namespace {

constexpr mode_t kMode = 0660;  // the user and the group, no one else

Error failed(const std::string& path, int code) {
  Error error = system_error("listen on unix:" + path, code);
  if (code == ENOENT || code == ENOTDIR) {
    error.message += " (make its directory first)";
  } else if (code == EACCES || code == EPERM || code == EROFS) {
    error.message += " (this user may not make a socket there: set another path)";
  }
  return error;
}

Error refused(const std::string& path, const std::string& why) {
  return fatal("listen on unix:" + path + ": " + why);
}

// Whether nobody listens on the socket at `address` any more. Does not block.
bool is_left_behind(const sockaddr_un& address) {
  const UniqueFd knock(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  return knock.valid() &&
         ::connect(knock.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
         errno == ECONNREFUSED;
}

Status make_way(const std::string& path, const sockaddr_un& address) {
  struct stat there {};
  if (::lstat(path.c_str(), &there) != 0) {
    return errno == ENOENT ? Status() : Status(failed(path, errno));
  }
  if (!S_ISSOCK(there.st_mode)) {
    return refused(path, "something else than a socket is there: remove it or set another path");
  }
  if (!is_left_behind(address)) {
    return refused(path, "another process listens there: stop it or set another path");
  }
  return ::unlink(path.c_str()) == 0 || errno == ENOENT ? Status() : Status(failed(path, errno));
}

}  // namespace

Result<UnixSocketFile> UnixSocketFile::listen(int socket, const std::string& path, int backlog) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (!path.starts_with('/') || path.size() >= sizeof address.sun_path) {
    return refused(path, "the path must begin with / and have at most " +
                             std::to_string(sizeof address.sun_path - 1) + " bytes");
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  if (const Status status = make_way(path, address); !status) {
    return status.error();
  }
  if (::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return failed(path, errno);
  }
  UnixSocketFile file;
  struct stat made {};
  if (::lstat(path.c_str(), &made) != 0) {
    return failed(path, errno);
  }
  file.path_ = path;
  file.device_ = made.st_dev;
  file.inode_ = made.st_ino;
  file.process_ = ::getpid();
  // Before listen(): until then nobody can connect, whatever the umask made of it.
  if (::chmod(path.c_str(), kMode) != 0 || ::listen(socket, backlog) != 0) {
    return failed(path, errno);
  }
  return file;
}

UnixSocketFile::UnixSocketFile(UnixSocketFile&& other) noexcept
    : path_(std::exchange(other.path_, {})),
      device_(other.device_),
      inode_(other.inode_),
      process_(other.process_) {}

UnixSocketFile& UnixSocketFile::operator=(UnixSocketFile&& other) noexcept {
  if (this != &other) {
    remove();
    path_ = std::exchange(other.path_, {});
    device_ = other.device_;
    inode_ = other.inode_;
    process_ = other.process_;
  }
  return *this;
}

UnixSocketFile::~UnixSocketFile() { remove(); }

void UnixSocketFile::remove() {
  struct stat there {};
  if (!path_.empty() && process_ == ::getpid() && ::lstat(path_.c_str(), &there) == 0 &&
      there.st_dev == device_ && there.st_ino == inode_) {
    (void)::unlink(path_.c_str());  // what stays is known as left behind at the next start
  }
  path_.clear();
}

}  // namespace sluice
