// CRC32C (Castagnoli, RFC 3720 appendix B.4), with SSE4.2 where the processor has it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace sluice {

// Continues `crc` over `bytes`; 0 starts. crc32c(b, crc32c(a)) == crc32c(a ++ b).
[[nodiscard]] std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t crc = 0);

// The table-driven fallback, for tests and other processors.
[[nodiscard]] std::uint32_t crc32c_portable(std::span<const std::byte> bytes,
                                            std::uint32_t crc = 0);

}  // namespace sluice
