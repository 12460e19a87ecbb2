#include "stages/frame.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <utility>

#include "common/base/check.h"

namespace sluice {

namespace {

// Copied tails grow up to this, then they are frozen and a new one begins.
constexpr std::size_t kTailBytesMax = 64 * kKiB;

}  // namespace

// One connection: its framer and the bytes that it may ask for again. They lie, in stream order, in
// frozen buffers, in a copied tail that still grows, and in the chunk being processed.
class Framer::Feed {
 public:
  explicit Feed(const FramerLimits& limits) : framer(limits) {}

  struct Held {
    std::uint64_t begin = 0;  // stream position
    Buffer bytes;
    WallTime received_at{};
    [[nodiscard]] std::uint64_t end() const { return begin + bytes.size(); }
  };

  void take(const Chunk& chunk) {
    chunk_ = {end_, chunk.bytes.share(0, chunk.bytes.size()), chunk.received_at};
    end_ += chunk.bytes.size();
  }

  // From `position` to the end of the memory that it lies in.
  [[nodiscard]] std::span<const std::byte> bytes_from(std::uint64_t position) const {
    if (position >= chunk_.begin) {
      return chunk_.bytes.bytes().subspan(position - chunk_.begin);
    }
    if (!tail_.empty() && position >= tail_begin_) {
      return std::span(tail_).subspan(position - tail_begin_);
    }
    const Held& held = held_at(position);
    return held.bytes.bytes().subspan(position - held.begin);
  }

  [[nodiscard]] WallTime received_at(std::uint64_t position) const {
    if (position >= chunk_.begin) {
      return chunk_.received_at;
    }
    return held_at(position).received_at;
  }

  // Appends slices of [begin, end). The tail must be frozen.
  void slice(std::uint64_t begin, std::uint64_t end, std::vector<Buffer>& run) const {
    for (const Held& held : held_) {
      slice_of(held, begin, end, run);
    }
    slice_of(chunk_, begin, end, run);
  }

  void freeze_tail() {
    if (tail_.empty()) {
      return;
    }
    held_.push_back(
        {tail_begin_, Buffer::copy_of(tail_, std::move(tail_charge_)), tail_received_at_});
    tail_ = {};
    tail_charge_ = {};
  }

  // Lets go of all before `from`, and of the chunk: what is still needed of it is kept by
  // reference if it is at least half of its slab, otherwise copied on the chunk's carry.
  void keep_from(std::uint64_t from, Charge carry) {
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

  XmlFramer framer;
  std::uint64_t accounted = 0;  // bytes before it are in batches, separators or refused

  [[nodiscard]] std::uint64_t end() const { return end_; }

 private:
  [[nodiscard]] const Held& held_at(std::uint64_t position) const {
    for (const Held& held : held_) {
      if (position < held.end()) {
        CHECK_THAT(position >= held.begin);
        return held;
      }
    }
    CHECK_THAT(false);
    return chunk_;
  }

  static void slice_of(const Held& held, std::uint64_t begin, std::uint64_t end,
                       std::vector<Buffer>& run) {
    const std::uint64_t from = std::max(begin, held.begin);
    const std::uint64_t until = std::min(end, held.end());
    if (from < until) {
      run.push_back(held.bytes.share(from - held.begin, until - from));
    }
  }

  void trim_front(std::uint64_t from) {
    Held& front = held_.front();
    front.bytes.remove_prefix(from - front.begin);
    front.begin = from;
  }

  void keep_chunk(std::uint64_t from, Charge carry) {
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

  std::deque<Held> held_;
  std::vector<std::byte> tail_;  // grows by doubling: up to as much again is not charged
  Charge tail_charge_;
  std::uint64_t tail_begin_ = 0;
  WallTime tail_received_at_{};
  Held chunk_;
  std::uint64_t end_ = 0;
};

Framer::Framer(const FrameOptions& options, Books& books) : options_(options), books_(books) {
  CHECK_THAT(options_.run_bytes_max + options_.limits.event_bytes_max < (std::uint64_t{1} << 31));
}

Framer::~Framer() = default;

Status Framer::process(Chunk chunk, Outbox<SpoolInput>& out) {
  auto& slot = feeds_[chunk.connection->id];
  if (slot == nullptr) {
    slot = std::make_unique<Feed>(options_.limits);
  }
  Feed& feed = *slot;
  const std::uint64_t framing_before = feed.end() - feed.accounted;
  const bool at_end = chunk.end != ConnectionEnd::open;
  feed.take(chunk);
  scan(feed, at_end);
  if (feed.framer.refuses()) {
    chunk.connection->refuse.store(true, std::memory_order_relaxed);
  }
  // Before the batches: who sees an event of them sees that its bytes are framed.
  const std::uint64_t hold_from = at_end ? feed.end() : feed.framer.hold_from();
  const std::uint64_t framing = feed.end() - hold_from;
  books_.bytes_framing.fetch_add(framing - framing_before, std::memory_order_relaxed);
  chunk.connection->bytes_framing.store(framing, std::memory_order_relaxed);
  if (Status status = send(feed, chunk, out); !status) {
    return status;
  }
  books_.bytes_separators.fetch_add(hold_from - feed.accounted, std::memory_order_relaxed);
  feed.accounted = hold_from;
  feed.keep_from(hold_from, std::move(chunk.carry));
  if (at_end) {
    feeds_.erase(chunk.connection->id);
  }
  return {};
}

// Fills cuts_.
void Framer::scan(Feed& feed, bool at_end) {
  cuts_.clear();
  do {
    while (feed.framer.position() < feed.end()) {
      feed.framer.scan(feed.bytes_from(feed.framer.position()), cuts_);
    }
  } while (at_end && !feed.framer.finish(cuts_));
}

// Batches of cuts_, and the connection's end with the last of them.
Status Framer::send(Feed& feed, const Chunk& chunk, Outbox<SpoolInput>& out) {
  Batch batch;
  batch.connection = chunk.connection;
  if (!cuts_.empty()) {
    feed.freeze_tail();
  }
  // The part of the run that is not sliced yet: pieces and the separators between them.
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  const auto slice = [&] {
    feed.slice(begin, end, batch.run);
    batch.run_bytes += static_cast<std::uint32_t>(end - begin);
    begin = end;
  };
  for (const Cut& cut : cuts_) {
    const std::uint64_t gap = cut.begin - feed.accounted;
    const std::uint64_t run_bytes = batch.run_bytes + (end - begin) + gap + cut.length;
    if (!batch.pieces.empty() && !cut.refused && run_bytes > options_.run_bytes_max) {
      slice();
      if (Status status = send_batch(std::exchange(batch, Batch{}), out); !status) {
        return status;
      }
      batch.connection = chunk.connection;
    }
    if (cut.refused || begin == end) {  // nothing that this could be joined to
      slice();
      books_.bytes_separators.fetch_add(gap, std::memory_order_relaxed);
      begin = cut.begin;
    }
    feed.accounted = cut.begin + cut.length;
    end = feed.accounted;
    if (cut.refused) {
      books_.bytes_refused.fetch_add(cut.length, std::memory_order_relaxed);
      begin = end;
      continue;
    }
    if (batch.pieces.empty()) {
      batch.first_byte_at = feed.received_at(begin);
    }
    batch.pieces.push_back({batch.run_bytes + static_cast<std::uint32_t>(cut.begin - begin),
                            static_cast<std::uint32_t>(cut.length), cut.kind, cut.reason,
                            cut.continues});
    batch.events += cut.kind == PieceKind::event ? 1 : 0;
  }
  slice();
  batch.end = chunk.end;
  if (batch.pieces.empty() && batch.end == ConnectionEnd::open) {
    return {};
  }
  if (batch.pieces.empty()) {
    batch.first_byte_at = chunk.received_at;
  }
  return send_batch(std::move(batch), out);
}

Status Framer::send_batch(Batch batch, Outbox<SpoolInput>& out) {
  const std::uint64_t malformed = batch.pieces.size() - batch.events;
  books_.bytes_batched.fetch_add(batch.run_bytes, std::memory_order_relaxed);
  books_.events_framed.fetch_add(batch.events, std::memory_order_relaxed);
  books_.malformed_framed.fetch_add(malformed, std::memory_order_relaxed);
  batch.connection->events.fetch_add(batch.events, std::memory_order_relaxed);
  batch.connection->malformed.fetch_add(malformed, std::memory_order_relaxed);
  return out.push(SpoolInput(std::move(batch))) ? Status() : Status(cancelled());
}

Status Framer::finish(Outbox<SpoolInput>& /*out*/) {
  feeds_.clear();
  return {};
}

}  // namespace sluice
