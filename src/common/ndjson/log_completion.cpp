#include "common/ndjson/log_completion.h"

#include <algorithm>
#include <cerrno>

#include "common/base/buffer.h"
#include "common/base/check.h"

namespace sluice {
namespace {

constexpr std::size_t kWindowBytes = 256 * kKiB;
constexpr std::size_t kWriteBytes = 256 * kKiB;

// What the power left of `line`: each byte its own, or a zero.
bool is_torn(std::string_view there, std::string_view line) {
  return std::equal(there.begin(), there.end(), line.begin(),
                    [](char is, char should) { return is == should || is == '\0'; });
}

}  // namespace

Status LogCompletion::take(std::string_view lines) {
  while (!lines.empty()) {
    const std::size_t end = lines.find('\n');
    CHECK_THAT(end != std::string_view::npos);
    if (Status status = take_line(lines.substr(0, end + 1)); !status) {
      return status;
    }
    lines.remove_prefix(end + 1);
  }
  return {};
}

Status LogCompletion::take_line(std::string_view line) {
  while (at_ < size_) {
    auto there = look(line.size());
    if (!there) {
      return there.error();
    }
    if (*there == line) {
      at_ += line.size();
      ++lines_found_;
      return {};
    }
    if (is_torn(*there, line)) {
      break;
    }
    if (Status status = skip_other_line(); !status) {
      return status;
    }
  }
  return put(line);
}

Status LogCompletion::put(std::string_view line) {
  if (at_ != unwritten_begin_ + unwritten_.size() || unwritten_.size() >= kWriteBytes) {
    if (Status status = flush(); !status) {
      return status;
    }
    unwritten_begin_ = at_;
  }
  unwritten_ += line;
  at_ += line.size();
  ++lines_written_;
  return {};
}

Status LogCompletion::flush() {
  Status status = write_all(file_, as_bytes(unwritten_), unwritten_begin_);
  unwritten_begin_ += unwritten_.size();
  unwritten_.clear();
  return status;
}

Status LogCompletion::skip_other_line() {
  for (;;) {
    auto there = look(kWindowBytes);
    if (!there) {
      return there.error();
    }
    const std::size_t feed = there->find('\n');
    const std::size_t skipped = feed == std::string_view::npos ? there->size() : feed + 1;
    at_ += skipped;
    other_bytes_ += skipped;
    if (feed != std::string_view::npos) {
      return {};
    }
    if (at_ == size_) {
      break;
    }
  }
  // Durable before a line of ours is behind it: without it that line would be no line.
  if (Status status = write_all(file_, as_bytes("\n"), at_); !status) {
    return status;
  }
  ++at_;
  size_ = at_;
  return file_.fdatasync();
}

Result<std::string_view> LogCompletion::look(std::size_t bytes) {
  bytes = static_cast<std::size_t>(std::min<std::uint64_t>(bytes, size_ - at_));
  if (at_ < window_begin_ || at_ + bytes > window_begin_ + window_.size()) {
    window_.resize(static_cast<std::size_t>(
        std::min<std::uint64_t>(std::max(bytes, kWindowBytes), size_ - at_)));
    window_begin_ = at_;
    auto read = file_.pread(std::as_writable_bytes(std::span(window_)), at_);
    if (!read) {
      window_.clear();
      return read.error();
    }
    if (*read < window_.size()) {
      window_.clear();
      return system_error("the log file was cut short while it was read", EAGAIN);
    }
  }
  return std::string_view(window_).substr(static_cast<std::size_t>(at_ - window_begin_), bytes);
}

Status LogCompletion::finish() {
  if (Status status = flush(); !status) {
    return status;
  }
  const std::uint64_t end = at_;
  std::uint64_t last = at_;  // behind the last byte that is no zero
  while (at_ < size_) {
    auto there = look(kWindowBytes);
    if (!there) {
      return there.error();
    }
    const std::size_t zeros_from = there->find_last_not_of('\0') + 1;
    last = zeros_from > 0 ? at_ + zeros_from : last;
    at_ += there->size();
  }
  other_bytes_ += last - end;
  return last < size_ ? file_.truncate(last) : Status();
}

}  // namespace sluice
