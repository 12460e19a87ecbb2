#include "stages/receive_replies.h"

#include <algorithm>
#include <utility>

#include "common/ndjson/log_line.h"

namespace sluice {
namespace {

// Text is made so far ahead of the socket.
constexpr std::size_t kTextBytesAhead = 16 * kKiB;
// Replies up to this are kept as one: a verdict is a byte, a Reply over a hundred.
constexpr std::size_t kJoinedBytesMax = 4 * kKiB;

}  // namespace

void ReplyBuffer::push(Reply reply) {
  backlog_bytes_ += reply.bytes.size();
  if (reply.bytes.empty()) {
    return;
  }
  if (!waiting_.empty() && waiting_.back().bytes.size() + reply.bytes.size() <= kJoinedBytesMax) {
    waiting_.back().bytes += reply.bytes;
    waiting_.back().charge.merge(std::move(reply.charge));
    return;
  }
  waiting_.push_back(std::move(reply));
}

void ReplyBuffer::fill() {
  while (!waiting_.empty() && text_.size() < kTextBytesAhead) {
    const Reply& reply = waiting_.front();
    if (reply.connection->protocol == Protocol::logs) {
      while (taken_ < reply.bytes.size() && text_.size() < kTextBytesAhead) {
        text_ += reply_text(static_cast<LogVerdict>(reply.bytes[taken_++]));
        --backlog_bytes_;
      }
    } else {
      const std::size_t bytes = std::min(kTextBytesAhead, reply.bytes.size() - taken_);
      text_.append(reply.bytes, taken_, bytes);
      taken_ += bytes;
      backlog_bytes_ -= bytes;
    }
    if (taken_ == reply.bytes.size()) {
      waiting_.pop_front();
      taken_ = 0;
    }
  }
}

std::span<const std::byte> ReplyBuffer::next() {
  if (written_ == text_.size()) {
    text_.clear();
    written_ = 0;
    fill();
    if (text_.empty()) {
      text_ = {};  // an idle connection holds nothing
    }
  }
  return std::as_bytes(std::span(text_)).subspan(written_);
}

void ReplyBuffer::written(std::size_t bytes) { written_ += bytes; }

void ReplyBuffer::drop() { *this = {}; }

}  // namespace sluice
