// Incremental SHA-256 (OpenSSL). Thread-compatible.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "common/spool/segment_format.h"

namespace sluice {

class DigestBuilder {
 public:
  DigestBuilder();
  void update(std::span<const std::byte> bytes);
  // Of all bytes so far; more may follow.
  [[nodiscard]] Digest digest() const;

 private:
  std::shared_ptr<void> state_;  // EVP_MD_CTX
};

[[nodiscard]] Digest digest_of(std::span<const std::byte> bytes);

}  // namespace sluice
