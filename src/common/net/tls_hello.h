// What a TLS client's first bytes look like where no TLS is spoken.
#pragma once

#include <cstddef>
#include <span>

namespace sluice {

// Whether a connection begins with a TLS ClientHello: a handshake record (RFC 8446, 5.1: 0x16), of
// a version from 3.0 to 3.4 (clients of every age write one of these there), that holds a
// ClientHello (4: type 1). False where fewer than three bytes are there to judge by; the type is
// looked at where it is there.
inline bool looks_like_tls_hello(std::span<const std::byte> first_bytes) {
  constexpr std::size_t kVersionEnd = 3;
  constexpr std::size_t kTypeOffset = 5;
  if (first_bytes.size() < kVersionEnd) {
    return false;
  }
  return first_bytes[0] == std::byte{0x16} && first_bytes[1] == std::byte{0x03} &&
         first_bytes[2] <= std::byte{0x04} &&
         (first_bytes.size() <= kTypeOffset || first_bytes[kTypeOffset] == std::byte{0x01});
}

}  // namespace sluice
