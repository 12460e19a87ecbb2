// Fixed little-endian integers in byte arrays, whatever the processor's order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace sluice {

// Writes sizeof(T) bytes at `to`.
template <class T>
void store_le(std::byte* to, T value) {
  auto bits = static_cast<std::make_unsigned_t<T>>(value);
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    to[i] = static_cast<std::byte>(bits & 0xFFU);
    bits = static_cast<std::make_unsigned_t<T>>(static_cast<std::uint64_t>(bits) >> 8U);
  }
}

// Reads sizeof(T) bytes at `from`.
template <class T>
[[nodiscard]] T load_le(const std::byte* from) {
  std::uint64_t bits = 0;
  for (std::size_t i = sizeof(T); i > 0; --i) {
    bits = bits << 8U | std::to_integer<std::uint64_t>(from[i - 1]);
  }
  return static_cast<T>(static_cast<std::make_unsigned_t<T>>(bits));
}

}  // namespace sluice
