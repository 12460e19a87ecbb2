// The names of elements as 64 bits, made at once or byte by byte, for the framer.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>

namespace sluice::name_fingerprint {

// A name as 64 bits: its last 8 bytes and its length. Two equal names are equal here; different
// ones that are taken for equal only cost a broken document a less exact end.
inline std::uint64_t fingerprint(std::uint64_t last_bytes, std::uint64_t length) {
  return last_bytes ^ (length * 0x9E3779B97F4A7C15ULL);
}

inline std::uint64_t add_byte(std::uint64_t last_bytes, char c) {
  return (last_bytes >> 8) | (std::uint64_t{static_cast<unsigned char>(c)} << 56);
}

// Of a name that lies in one buffer, which begins at `base`.
inline std::uint64_t fingerprint_of(const char* begin, const char* end, const char* base) {
  const auto length = static_cast<std::uint64_t>(end - begin);
  std::uint64_t last = 0;
  if (std::endian::native == std::endian::little && length > 0 && end - base >= 8) {
    std::memcpy(&last, end - 8, 8);
    if (length < 8) {
      last &= ~std::uint64_t{0} << (8 * (8 - length));
    }
  } else {
    for (const char* p = std::max(begin, end - std::min<std::uint64_t>(length, 8)); p != end; ++p) {
      last = add_byte(last, *p);
    }
  }
  return fingerprint(last, length);
}

}  // namespace sluice::name_fingerprint
