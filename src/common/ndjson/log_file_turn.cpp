// LogFile: going on in another file, by a rotation of ours or after somebody else's. Until the note
// names the new file nothing is appended to it, and the old one is complete and synced then: so a
// crash at any point leaves lines to make again in one file only.
#include <cerrno>
#include <string>

#include "common/log/log.h"
#include "common/ndjson/log_file.h"
#include "common/ndjson/rotated_logs.h"

namespace sluice {
namespace {

constexpr std::chrono::seconds kRetryInterval{1};
constexpr int kNamesTriedMax = 100;

Status rename_away(Filesystem& filesystem, const Path& from, const Path& to) {
  Status status = filesystem.rename_exclusive(from, to);
  if (status || (status.error().code != EINVAL && status.error().code != ENOSYS)) {
    return status;
  }
  // A file system that does not know RENAME_NOREPLACE (NFS): a link never replaces either.
  status = filesystem.link(from, to);
  return status ? filesystem.unlink(from) : status;
}

}  // namespace

Status LogFile::reopen() {
  if (complete_due_) {
    return {};  // which opens it
  }
  auto there = is_at_path();
  Status status = !there ? there.status() : *there ? Status() : turn_over();
  reopen_due_ = !status;
  if (status) {
    return {};
  }
  return transient("log file " + options_.path.string() + " not opened anew: " +
                       status.error().message + "; lines go on into the old one; tried again",
                   status.error().code);
}

bool LogFile::rotation_due(std::size_t bytes) const {
  if (end_ == 0) {
    return false;
  }
  return (options_.bytes_max > 0 && end_ + bytes > options_.bytes_max) ||
         (options_.age_max.count() > 0 && began_at_ &&
          stream_.clock().now() - *began_at_ >= options_.age_max);
}

void LogFile::turn_over_if_due(std::size_t bytes) {
  const MonotonicTime now = stream_.clock().now();
  if ((!reopen_due_ && !rotation_due(bytes)) || now < turn_over_at_) {
    return;
  }
  if (Status status = reopen_due_ ? reopen() : turn_over(); !status) {
    turn_over_at_ = now + kRetryInterval;
    log::limited(log::Level::warning, "log file not rotated",
                 {{"path", options_.path.string()}, {"error", status.error().message}});
  }
}

// Where the path is still our file it is renamed first.
Status LogFile::turn_over() {
  if (Status status = cut(); !status) {
    return status;
  }
  if (Status status = sync(); !status) {
    return status;
  }
  auto there = is_at_path();
  if (!there) {
    return there.error();
  }
  if (Status status = *there ? move_away() : Status(); !status) {
    return status;
  }
  if (Status status = open_path(); !status) {
    move_back();
    return status;
  }
  drop_old_files();
  return {};
}

// Gives the file at the path a name that no file has.
Status LogFile::move_away() {
  auto rotated = rotated_logs(filesystem_, options_.path);
  if (!rotated) {
    return rotated.error();
  }
  RotatedLog next = next_rotated(rotated->empty() ? std::nullopt : std::optional(rotated->back()),
                                 stream_.clock().wall_now());
  Status status;
  for (int tried = 0; tried < kNamesTriedMax; ++tried, ++next.n) {
    const Path to = directory() / rotated_name(options_.path.filename().string(), next);
    status = rename_away(filesystem_, options_.path, to);
    if (status) {
      moved_to_ = to;
      log::info("log file rotated", {{"path", to.string()}, {"bytes", end_}});
      return status;
    }
    if (status.error().code != EEXIST) {
      break;
    }
  }
  return status;
}

// Best effort: lines go on into the file whatever its name is.
void LogFile::move_back() {
  if (moved_to_ && filesystem_.rename_exclusive(*moved_to_, options_.path)) {
    moved_to_.reset();
  }
}

Status LogFile::sync_entries() {
  if (renew_due_) {
    if (Status status = renew_entry(); !status) {
      return status;
    }
  }
  Status status = filesystem_.sync_directory(directory());
  renew_due_ = !status;
  return status;
}

// Gives the file the name that it has, whoever gave it that: after a failed sync of the directory a
// later good one says nothing of the entry.
Status LogFile::renew_entry() {
  auto entries = filesystem_.list(directory());
  if (!entries) {
    return entries.error();
  }
  for (const DirectoryEntry& entry : *entries) {
    if (entry.info.inode == inode_ && entry.info.type == FileType::regular &&
        entry.name != options_.path.filename()) {
      const Path name = directory() / entry.name;
      Path other = name;
      other += ".tmp";
      Status status = filesystem_.rename_exclusive(name, other);
      return status ? filesystem_.rename_exclusive(other, name) : status;
    }
  }
  return {};
}

void LogFile::drop_old_files() {
  if (options_.files_keep == 0) {
    return;
  }
  auto rotated = rotated_logs(filesystem_, options_.path);
  for (std::size_t i = 0; rotated && i + options_.files_keep < rotated->size(); ++i) {
    const Path path = directory() / rotated_name(options_.path.filename().string(), (*rotated)[i]);
    if (Status status = filesystem_.unlink(path); !status) {
      log::warning("old log file not removed", {{"error", status.error().message}});
    }
  }
}

Result<bool> LogFile::is_at_path() const {
  auto info = filesystem_.info(options_.path);
  if (!info && info.error().code != ENOENT) {
    return info.error();
  }
  return info && info->inode == inode_;
}

}  // namespace sluice
