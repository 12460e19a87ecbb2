#include "stages/frame_bytes.h"

#include <algorithm>

#include "common/base/check.h"

namespace sluice {
namespace {

// Copied tails grow up to this, then they are frozen and a new one begins.
constexpr std::size_t kTailBytesMax = 64 * kKiB;

}  // namespace

void FeedBytes::take(const Chunk& chunk) {
  chunk_ = {end_, chunk.bytes.share(0, chunk.bytes.size()), chunk.received_at};
  end_ += chunk.bytes.size();
}

std::span<const std::byte> FeedBytes::bytes_from(std::uint64_t position) const {
  if (position >= chunk_.begin) {
    return chunk_.bytes.bytes().subspan(position - chunk_.begin);
  }
  if (!tail_.empty() && position >= tail_begin_) {
    return std::span(tail_).subspan(position - tail_begin_);
  }
  const Held& held = held_at(position);
  return held.bytes.bytes().subspan(position - held.begin);
}

WallTime FeedBytes::received_at(std::uint64_t position) const {
  if (position >= chunk_.begin) {
    return chunk_.received_at;
  }
  return held_at(position).received_at;
}

void FeedBytes::slice(std::uint64_t begin, std::uint64_t end, std::vector<Buffer>& run) const {
  for (const Held& held : held_) {
    slice_of(held, begin, end, run);
  }
  slice_of(chunk_, begin, end, run);
}

void FeedBytes::freeze_tail() {
  if (tail_.empty()) {
    return;
  }
  held_.push_back(
      {tail_begin_, Buffer::copy_of(tail_, std::move(tail_charge_)), tail_received_at_});
  tail_ = {};
  tail_charge_ = {};
}

void FeedBytes::keep_from(std::uint64_t from, Charge carry) {
  while (!held_.empty() && held_.front().end() <= from) {
    held_.pop_front();
  }
  if (!held_.empty() && held_.front().begin < from) {
    trim_front(from);
  }
  if (!tail_.empty() && tail_begin_ < from) {
    const std::size_t gone = std::min<std::size_t>(from - tail_begin_, tail_.size());
    tail_.erase(tail_.begin(), tail_.begin() + static_cast<std::ptrdiff_t>(gone));
    tail_charge_.shrink_to(tail_.size());
    tail_begin_ += gone;
  }
  keep_chunk(from, std::move(carry));
  if (tail_.empty()) {
    tail_ = {};
  }
  chunk_ = {end_, Buffer(), {}};
}

const FeedBytes::Held& FeedBytes::held_at(std::uint64_t position) const {
  for (const Held& held : held_) {
    if (position < held.end()) {
      CHECK_THAT(position >= held.begin);
      return held;
    }
  }
  CHECK_THAT(false);
  return chunk_;
}

void FeedBytes::slice_of(const Held& held, std::uint64_t begin, std::uint64_t end,
                         std::vector<Buffer>& run) {
  const std::uint64_t from = std::max(begin, held.begin);
  const std::uint64_t until = std::min(end, held.end());
  if (from < until) {
    run.push_back(held.bytes.share(from - held.begin, until - from));
  }
}

void FeedBytes::trim_front(std::uint64_t from) {
  Held& front = held_.front();
  front.bytes.remove_prefix(from - front.begin);
  front.begin = from;
}

void FeedBytes::keep_chunk(std::uint64_t from, Charge carry) {
  from = std::max(from, chunk_.begin);
  const std::size_t bytes = end_ - from;
  if (bytes == 0) {
    return;
  }
  if (bytes >= chunk_.bytes.capacity() / 2) {
    freeze_tail();
    chunk_.bytes.remove_prefix(from - chunk_.begin);
    chunk_.begin = from;
    held_.push_back(std::move(chunk_));
    return;
  }
  if (tail_.empty()) {
    tail_begin_ = from;
    tail_received_at_ = chunk_.received_at;
  }
  const auto kept = chunk_.bytes.bytes().subspan(from - chunk_.begin);
  tail_.insert(tail_.end(), kept.begin(), kept.end());
  tail_charge_.merge(carry.split(bytes));
  if (tail_.size() >= kTailBytesMax) {
    freeze_tail();
  }
}

}  // namespace sluice
