#include "stages/frame_batches.h"

#include <algorithm>
#include <utility>

namespace sluice {

BatchMaker::BatchMaker(std::uint32_t run_bytes_max, std::uint64_t hold_from, const Links& links)
    : run_bytes_max_(run_bytes_max), hold_from_(hold_from), links_(links) {
  const FeedBytes& feed = links.feed;
  const std::uint64_t framing = feed.end() - hold_from;
  const std::uint64_t before = feed.end() - links.chunk.bytes.size() - feed.accounted;
  links.books.bytes_framing.fetch_add(framing - before, std::memory_order_relaxed);
  links.chunk.connection->bytes_framing.store(framing, std::memory_order_relaxed);
  batch_.connection = links.chunk.connection;
}

void BatchMaker::slice() {
  links_.feed.slice(begin_, end_, batch_.run);
  batch_.run_bytes += static_cast<std::uint32_t>(end_ - begin_);
  begin_ = end_;
}

Status BatchMaker::add(const Cut& cut, std::optional<char> reply) {
  links_.feed.freeze_tail();
  std::uint64_t& accounted = links_.feed.accounted;
  const std::uint64_t gap = cut.begin - accounted;
  const std::uint64_t run_bytes = batch_.run_bytes + (end_ - begin_) + gap + cut.length;
  if (!batch_.pieces.empty() && !cut.refused && run_bytes > run_bytes_max_) {
    slice();
    if (Status status = send(); !status) {
      return status;
    }
  }
  if (cut.refused || begin_ == end_) {  // nothing that this could be joined to
    slice();
    links_.books.bytes_separators.fetch_add(gap, std::memory_order_relaxed);
    begin_ = cut.begin;
  }
  accounted = cut.begin + cut.length;
  end_ = accounted;
  if (reply) {
    batch_.replies += *reply;
  }
  if (cut.refused) {
    links_.books.bytes_refused.fetch_add(cut.length, std::memory_order_relaxed);
    if (!cut.continues) {
      batch_.connection->refused.fetch_add(1, std::memory_order_relaxed);
    }
    begin_ = end_;
    return {};
  }
  if (batch_.pieces.empty()) {
    batch_.first_byte_at = links_.feed.received_at(begin_);
  }
  batch_.pieces.push_back({batch_.run_bytes + static_cast<std::uint32_t>(cut.begin - begin_),
                           static_cast<std::uint32_t>(cut.length), cut.kind, cut.reason,
                           cut.continues});
  batch_.events += cut.kind == PieceKind::event ? 1 : 0;
  return {};
}

Status BatchMaker::finish() {
  slice();
  batch_.end = links_.chunk.end;
  if (batch_.pieces.empty()) {
    batch_.first_byte_at = links_.chunk.received_at;
  }
  if (!batch_.pieces.empty() || !batch_.replies.empty() || batch_.end != ConnectionEnd::open) {
    if (links_.chunk.connection->protocol == Protocol::xml) {
      batch_.in_flight = std::move(links_.chunk.in_flight);  // until all of it is written
    }
    if (Status status = send(); !status) {
      return status;
    }
  }
  FeedBytes& feed = links_.feed;
  links_.books.bytes_separators.fetch_add(hold_from_ - feed.accounted, std::memory_order_relaxed);
  feed.accounted = hold_from_;
  feed.keep_from(hold_from_, std::move(links_.chunk.carry));
  return {};
}

Status BatchMaker::send() {
  Batch batch = std::exchange(batch_, Batch{});
  batch_.connection = links_.chunk.connection;
  if (!batch.replies.empty()) {
    // Each is for a byte of this chunk that is not kept, the end of its line; but for that of a
    // last line without one.
    Charge& carry = links_.chunk.carry;
    batch.replies_charge = carry.split(std::min(batch.replies.size(), carry.bytes()));
    batch.in_flight = std::move(links_.chunk.in_flight);
  }
  const std::uint64_t malformed = batch.pieces.size() - batch.events;
  Books& books = links_.books;
  books.bytes_batched.fetch_add(batch.run_bytes, std::memory_order_relaxed);
  books.events_framed.fetch_add(batch.events, std::memory_order_relaxed);
  books.malformed_framed.fetch_add(malformed, std::memory_order_relaxed);
  batch.connection->events.fetch_add(batch.events, std::memory_order_relaxed);
  batch.connection->malformed.fetch_add(malformed, std::memory_order_relaxed);
  return links_.out.push(SpoolInput(std::move(batch))) ? Status() : Status(cancelled());
}

}  // namespace sluice
