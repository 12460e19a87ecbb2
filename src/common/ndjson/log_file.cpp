#include "common/ndjson/log_file.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <vector>

#include "common/base/buffer.h"
#include "common/base/check.h"
#include "common/base/utc_text.h"
#include "common/log/log.h"
#include "common/ndjson/log_completion.h"

namespace sluice {
namespace {

std::string_view advice_on(int code) {
  switch (code) {
    case ENOSPC:
    case EDQUOT:
      return "free some space on its disk, or keep fewer files (LOG_FILES_KEEP)";
    case EACCES:
    case EPERM:
    case EROFS:
      return "let this user write to LOG_DIR and its files";
    case ELOOP:
    case EINVAL:
    case EISDIR:
      return "LOG_DIR/LOG_FILENAME must be a regular file, no link";
    case EMFILE:
    case ENFILE:
      return "raise the limit of open files";
    default:
      return "look at its disk and at LOG_DIR";
  }
}

Error log_error(const Path& path, const Error& error) {
  return transient("log file " + path.string() + ": " + error.message + "; " +
                       std::string(advice_on(error.code)) + "; tried again",
                   error.code);
}

Status log_status(const Path& path, Status status) {
  return status ? Status() : Status(log_error(path, status.error()));
}

// When the line at the beginning of the file says that it was written.
std::optional<WallTime> time_of_first_line(const File& file) {
  constexpr std::size_t kTimeBytes = 27;  // "2026-11-21T09:14:07.123456Z"
  std::array<std::byte, kTimeBytes> bytes{};
  auto read = file.pread(bytes, 0);
  return read && *read == kTimeBytes ? parse_iso8601(as_text(bytes)) : std::nullopt;
}

}  // namespace

LogFile::LogFile(StreamDirectory& stream, Options options)
    : stream_(stream), filesystem_(stream.filesystem()), options_([&] {
        options.path = options.path.lexically_normal();
        if (!options.path.has_parent_path()) {
          options.path = "." / options.path;
        }
        return std::move(options);
      }()) {}

// ---- at start -----------------------------------------------------------------------------------

Status LogFile::complete(std::uint64_t next_sequence, const SpooledLines& spooled) {
  complete_due_ = true;
  file_.reset();
  moved_to_.reset();
  cut_due_ = false;  // what is there of a line is compared with it
  const auto step = [&]() -> Status {
    if (Status status = make_directory(); !status) {
      return status;
    }
    auto noted = read_log_position(filesystem_, stream_.path());
    if (!noted && noted.error().kind != ErrorKind::rejected) {
      return noted.error();
    }
    if (!noted) {
      log::warning(
          "log file position lost: the lines of all that is in the spool are written again",
          {{"path", options_.path.string()}, {"error", noted.error().message}});
    }
    Status done = noted && *noted ? complete_noted(**noted, spooled) : write_again(0, spooled);
    if (!done) {
      return done;
    }
    if (Status status = open_path(); !status) {
      return status;
    }
    if (Status status = find_end(); !status) {
      return status;
    }
    return note(next_sequence);
  };
  Status status = step();
  complete_due_ = !status;
  return log_status(options_.path, std::move(status));
}

// With durable entries: the note must not outlive the file that it speaks of.
Status LogFile::make_directory() {
  std::vector<Path> missing;
  for (Path path = directory(); path.has_filename() && !filesystem_.info(path);
       path = path.parent_path()) {
    missing.push_back(path);
  }
  if (Status status = filesystem_.create_directories(directory()); !status) {
    return status;
  }
  for (const Path& path : missing) {
    const Path parent = path.parent_path();
    if (Status status = filesystem_.sync_directory(parent.empty() ? Path(".") : parent); !status) {
      return status;
    }
  }
  return {};
}

Status LogFile::complete_noted(const LogPosition& noted, const SpooledLines& spooled) {
  auto found = find_log(filesystem_, noted);
  if (!found) {
    return found.error();
  }
  if (*found) {
    LogPosition from = noted;
    from.path = (*found)->path;
    return fill(*(*found)->file, from, spooled);
  }
  log::warning(
      "log file gone, or cut short: the lines since the last switch of a segment are "
      "written again",
      {{"path", noted.path.string()}});
  return write_again(noted.sequence, spooled);
}

// At the end of the file at the path, the lines of all records from `sequence` on.
Status LogFile::write_again(std::uint64_t sequence, const SpooledLines& spooled) {
  if (Status status = open_path(); !status) {
    return status;
  }
  if (Status status = find_end(); !status) {
    return status;
  }
  // Before the first of them: killed in between, the next start finds those that are there.
  if (Status status = note(sequence); !status) {
    return status;
  }
  LogPosition from;
  from.sequence = sequence;
  from.path = options_.path;
  from.offset = end_;
  return fill(*file_, from, spooled);
}

// Compares with what the disk has, not with what the cache still shows after a failed sync.
Status LogFile::fill(File& file, const LogPosition& from, const SpooledLines& spooled) {
  for (const auto& prepare : {&File::fdatasync, &File::drop_cache}) {
    if (Status status = (file.*prepare)(); !status) {
      return status;
    }
  }
  auto info = file.info();
  if (!info) {
    return info.error();
  }
  inode_ = info->inode;
  LogCompletion completion(file, from.offset, info->bytes);
  std::optional<std::uint64_t> last;
  Status status = spooled(from.sequence, [&](std::uint64_t sequence, std::string_view lines) {
    CHECK_THAT(sequence >= from.sequence && (!last || sequence > *last));
    last = sequence;
    return completion.take(lines);
  });
  if (status) {
    status = completion.finish();
  }
  if (status) {
    status = file.fdatasync();
  }
  if (!status) {
    return status;
  }
  log::info("log file completed", {{"path", from.path.string()},
                                   {"lines_found", completion.lines_found()},
                                   {"lines_written", completion.lines_written()}});
  if (completion.other_bytes() > 0) {
    log::warning("log file has text that is not ours: kept",
                 {{"path", from.path.string()}, {"bytes", completion.other_bytes()}});
  }
  return {};
}

// ---- opening ------------------------------------------------------------------------------------

// Goes on in the file at the path, made where there is none. file_ stays as it is on an error.
Status LogFile::open_path() {
  // What was renamed is so durably before the name is used again.
  if (Status status = sync_entries(); !status) {
    return status;
  }
  if (Status status = drop_doubtful_file(); !status) {
    return status;
  }
  auto file = filesystem_.open(options_.path, OpenMode::create_new);
  const bool made = file.ok();
  if (!made && file.error().code == EEXIST) {
    file = filesystem_.open(options_.path, OpenMode::read_write);
  }
  if (!file) {
    return file.error();
  }
  auto info = (*file)->info();
  if (!info) {
    return info.error();
  }
  if (info->type != FileType::regular) {
    return system_error(options_.path.string() + " is no regular file", EINVAL);
  }
  if (Status status = sync_entries(); !status) {
    // A later good sync would say nothing of this entry: it is made again.
    if (made && !filesystem_.unlink(options_.path)) {
      doubtful_inode_ = info->inode;
    }
    return status;
  }
  file_ = std::move(*file);
  inode_ = info->inode;
  moved_to_.reset();
  end_ = 0;
  cut_due_ = false;
  end_known_ = false;
  note_due_ = true;
  reopen_due_ = false;
  began_at_.reset();
  if (const auto first = time_of_first_line(*file_)) {
    const std::chrono::nanoseconds age = stream_.clock().wall_now() - *first;
    began_at_ = stream_.clock().now() - std::max(age, std::chrono::nanoseconds(0));
  } else if (info->bytes > 0) {
    began_at_ = stream_.clock().now();
  }
  return {};
}

Status LogFile::drop_doubtful_file() {
  if (!doubtful_inode_) {
    return {};
  }
  auto info = filesystem_.info(options_.path);
  if (!info && info.error().code != ENOENT) {
    return info.error();
  }
  if (info && info->inode == *doubtful_inode_ && info->bytes == 0) {
    if (Status status = filesystem_.unlink(options_.path); !status) {
      return status;
    }
  }
  doubtful_inode_.reset();
  return {};
}

// Sets end_ behind all that is there, which is durable then.
Status LogFile::find_end() {
  auto info = file_->info();
  if (!info) {
    return info.error();
  }
  std::uint64_t end = info->bytes;
  if (end > 0) {
    std::array<std::byte, 1> last{};
    if (auto read = file_->pread(last, end - 1); !read) {
      return read.error();
    }
    if (as_text(last) != "\n") {
      if (Status status = write_all(*file_, as_bytes("\n"), end); !status) {
        return status;
      }
      ++end;
    }
    if (Status status = sync(); !status) {
      return status;
    }
  } else {
    began_at_.reset();
  }
  end_ = end;
  end_known_ = true;
  note_due_ = true;
  return {};
}

// ---- lines --------------------------------------------------------------------------------------

Status LogFile::append(std::uint64_t first_sequence, std::string_view lines) {
  if (lines.empty()) {
    return {};
  }
  CHECK_THAT(lines.back() == '\n');
  if (!complete_due_) {
    turn_over_if_due(lines.size());
  }
  Status status = settle();
  if (status && note_due_) {
    status = note(first_sequence);
  }
  if (status) {
    status = write_all(*file_, as_bytes(lines), end_);
    cut_due_ = !status;
  }
  if (!status) {
    if (cut_due_) {
      (void)cut().ok();  // else before the next write
    }
    return log_error(options_.path, status.error());
  }
  end_ += lines.size();
  began_at_ = began_at_.value_or(stream_.clock().now());
  return {};
}

Status LogFile::sync_and_note(std::uint64_t next_sequence) {
  Status status = settle();
  if (status) {
    status = sync();
  }
  if (status) {
    status = note(next_sequence);
  }
  return log_status(options_.path, std::move(status));
}

// The file ends where our last line does, or we know why not.
Status LogFile::settle() {
  if (complete_due_) {
    return transient("to be completed from the spool first", EAGAIN);
  }
  if (Status status = cut(); !status) {
    return status;
  }
  auto info = file_->info();
  if (!info) {
    return info.error();
  }
  if (end_known_ && info->bytes != end_) {
    log::limited(log::Level::warning,
                 info->bytes < end_ ? "log file was cut short by somebody: going on at its end"
                                    : "log file has text that is not ours: kept",
                 {{"path", options_.path.string()}});
    end_known_ = false;
  }
  return end_known_ ? Status() : find_end();
}

Status LogFile::cut() {
  Status status = cut_due_ ? file_->truncate(end_) : Status();
  cut_due_ = cut_due_ && !status;
  return status;
}

Status LogFile::sync() {
  Status status = file_->fdatasync();
  // Never again on these pages: what the disk does not have is written again from the spool.
  complete_due_ = complete_due_ || !status;
  return status;
}

// All below end_ is durable.
Status LogFile::note(std::uint64_t next_sequence) {
  auto tail = read_log_tail(*file_, end_);
  if (!tail) {
    return tail.error();
  }
  Status status = write_log_position(stream_, {.sequence = next_sequence,
                                               .offset = end_,
                                               .inode = inode_,
                                               .tail = *tail,
                                               .path = options_.path});
  note_due_ = note_due_ && !status;
  return status;
}

}  // namespace sluice
