// FeedBytes: what Frame keeps of one connection's bytes: those that its framer may ask for again.
// They lie, in stream order, in frozen buffers, in a copied tail that still grows, and in the chunk
// being processed. Stream positions count all bytes of the connection from 0. Thread-compatible.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "common/base/buffer.h"
#include "stages/messages.h"

namespace sluice {

class FeedBytes {
 public:
  void take(const Chunk& chunk);

  // From `position` to the end of the memory that it lies in.
  [[nodiscard]] std::span<const std::byte> bytes_from(std::uint64_t position) const;
  [[nodiscard]] WallTime received_at(std::uint64_t position) const;
  // Behind the last byte.
  [[nodiscard]] std::uint64_t end() const { return end_; }

  // Appends slices of [begin, end). The tail must be frozen.
  void slice(std::uint64_t begin, std::uint64_t end, std::vector<Buffer>& run) const;
  void freeze_tail();

  // Lets go of all before `from`, and of the chunk: what is still needed of it is kept by
  // reference if it is at least half of its slab, otherwise copied on the chunk's carry.
  void keep_from(std::uint64_t from, Charge carry);

  std::uint64_t accounted = 0;  // bytes before it are in batches, separators or refused

 private:
  struct Held {
    std::uint64_t begin = 0;  // stream position
    Buffer bytes;
    WallTime received_at{};
    [[nodiscard]] std::uint64_t end() const { return begin + bytes.size(); }
  };

  [[nodiscard]] const Held& held_at(std::uint64_t position) const;
  static void slice_of(const Held& held, std::uint64_t begin, std::uint64_t end,
                       std::vector<Buffer>& run);
  void trim_front(std::uint64_t from);
  void keep_chunk(std::uint64_t from, Charge carry);

  std::deque<Held> held_;
  std::vector<std::byte> tail_;  // grows by doubling: up to as much again is not charged
  Charge tail_charge_;
  std::uint64_t tail_begin_ = 0;
  WallTime tail_received_at_{};
  Held chunk_;
  std::uint64_t end_ = 0;
};

}  // namespace sluice
