#include "common/base/buffer.h"

#include <atomic>
#include <cstring>
#include <new>

#include "common/base/check.h"

namespace sluice {

struct Buffer::Block {
  Block(std::size_t bytes, Charge&& held) : capacity(bytes), charge(std::move(held)) {}
  std::atomic<std::uint32_t> views{1};
  std::size_t capacity;
  Charge charge;

  std::byte* memory() { return reinterpret_cast<std::byte*>(this + 1); }
};

Buffer Buffer::allocate(std::size_t bytes, Charge charge) {
  void* memory = ::operator new(sizeof(Block) + bytes);
  auto* block = new (memory) Block(bytes, std::move(charge));
  return {block, block->memory(), bytes};
}

Buffer Buffer::copy_of(std::span<const std::byte> bytes, Charge charge) {
  Buffer copy = allocate(bytes.size(), std::move(charge));
  if (!bytes.empty()) {
    std::memcpy(copy.begin_, bytes.data(), bytes.size());
  }
  return copy;
}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  if (this != &other) {
    reset();
    block_ = std::exchange(other.block_, nullptr);
    begin_ = std::exchange(other.begin_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

Buffer Buffer::share(std::size_t begin, std::size_t bytes) const {
  CHECK_THAT(begin <= size_ && bytes <= size_ - begin);
  if (block_ == nullptr) {
    return {};
  }
  block_->views.fetch_add(1, std::memory_order_relaxed);
  return {block_, begin_ + begin, bytes};
}

void Buffer::truncate(std::size_t bytes) {
  CHECK_THAT(bytes <= size_);
  size_ = bytes;
}

void Buffer::remove_prefix(std::size_t bytes) {
  CHECK_THAT(bytes <= size_);
  begin_ += bytes;
  size_ -= bytes;
}

std::size_t Buffer::capacity() const { return block_ == nullptr ? 0 : block_->capacity; }

void Buffer::reset() {
  if (block_ != nullptr && block_->views.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    block_->~Block();
    ::operator delete(block_);
  }
  block_ = nullptr;
  begin_ = nullptr;
  size_ = 0;
}

}  // namespace sluice
