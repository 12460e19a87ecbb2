// Buffer: a move-only view of reference-counted memory that carries its charge on a MemoryBudget.
// Filled by one owner, then frozen: once shared, nobody writes. The memory and its charge go when
// the last view of it dies, on whichever thread that is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include "common/base/memory_budget.h"

namespace sluice {

class Buffer {
 public:
  Buffer() = default;
  Buffer(Buffer&& other) noexcept
      : block_(std::exchange(other.block_, nullptr)),
        begin_(std::exchange(other.begin_, nullptr)),
        size_(std::exchange(other.size_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { reset(); }

  // `bytes` of uninitialised memory, owned alone until shared.
  static Buffer allocate(std::size_t bytes, Charge charge);
  static Buffer copy_of(std::span<const std::byte> bytes, Charge charge);

  [[nodiscard]] std::span<const std::byte> bytes() const { return {begin_, size_}; }
  [[nodiscard]] std::string_view text() const {
    return {reinterpret_cast<const char*>(begin_), size_};
  }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }

  // For filling. The caller is the only one that knows of the bytes it writes to: either nobody
  // shares this memory yet, or (a slab that is filled from the front) only earlier parts are.
  [[nodiscard]] std::span<std::byte> writable() { return {begin_, size_}; }

  // Another view of `bytes` bytes from `begin` of this one; keeps the whole memory alive.
  [[nodiscard]] Buffer share(std::size_t begin, std::size_t bytes) const;
  // Shortens this view; the memory stays as it is.
  void truncate(std::size_t bytes);
  void remove_prefix(std::size_t bytes);
  // Bytes of the memory behind this view (what a view of a few bytes keeps alive).
  [[nodiscard]] std::size_t capacity() const;
  void reset();

 private:
  struct Block;
  Buffer(Block* block, std::byte* begin, std::size_t size)
      : block_(block), begin_(begin), size_(size) {}

  Block* block_ = nullptr;
  std::byte* begin_ = nullptr;
  std::size_t size_ = 0;
};

inline std::span<const std::byte> as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
inline std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace sluice
