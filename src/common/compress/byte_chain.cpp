#include "common/compress/byte_chain.h"

#include <algorithm>
#include <cstring>

#include "common/base/check.h"

namespace sluice {

std::span<std::byte> ByteChain::room() {
  if (size_ == pages_.size() * kPageBytes) {
    pages_.push_back(std::make_unique_for_overwrite<std::byte[]>(kPageBytes));
  }
  const std::size_t used = size_ - (pages_.size() - 1) * kPageBytes;
  return {pages_.back().get() + used, kPageBytes - used};
}

void ByteChain::commit(std::size_t bytes) {
  CHECK_THAT(size_ + bytes <= pages_.size() * kPageBytes);
  size_ += bytes;
}

void ByteChain::append(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const std::span<std::byte> into = room();
    const std::size_t part = std::min(into.size(), bytes.size());
    std::memcpy(into.data(), bytes.data(), part);
    commit(part);
    bytes = bytes.subspan(part);
  }
}

void ByteChain::drain_into(std::span<std::byte> into) {
  CHECK_THAT(into.size() == size_);
  for (auto& page : pages_) {
    const std::size_t part = std::min(into.size(), kPageBytes);
    if (part > 0) {
      std::memcpy(into.data(), page.get(), part);
    }
    into = into.subspan(part);
    page.reset();
  }
  pages_.clear();
  size_ = 0;
}

}  // namespace sluice
