// ByteChain: bytes that are appended at the end and taken once, in pages, so that growing copies
// nothing. One owner at a time.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "common/base/units.h"

namespace sluice {

class ByteChain {
 public:
  static constexpr std::size_t kPageBytes = 256 * kKiB;

  void append(std::span<const std::byte> bytes);
  // Room at the end, never empty; commit(n) makes its first n bytes part of the chain.
  std::span<std::byte> room();
  void commit(std::size_t bytes);

  [[nodiscard]] std::size_t size() const { return size_; }
  // Copies all to `into` (of size() bytes) and frees each page once it is copied.
  void drain_into(std::span<std::byte> into);

 private:
  std::vector<std::unique_ptr<std::byte[]>> pages_;
  std::size_t size_ = 0;
};

}  // namespace sluice
