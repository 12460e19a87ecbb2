#include "common/base/crc32c.h"

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <vector>

#include "common/base/buffer.h"

using namespace sluice;

TEST_CASE("crc32c_matches_the_vectors_of_rfc_3720") {
  // RFC 3720, B.4
  CHECK(crc32c(std::vector<std::byte>(32, std::byte{0})) == 0x8A9136AAU);
  CHECK(crc32c(std::vector<std::byte>(32, std::byte{0xFF})) == 0x62A8AB43U);
  CHECK(crc32c(as_bytes("123456789")) == 0xE3069283U);
  CHECK(crc32c_portable(as_bytes("123456789")) == 0xE3069283U);
}

TEST_CASE("crc32c_continues_over_any_split_and_both_ways_agree") {
  std::mt19937 random(20260101);  // NOLINT(cert-msc51-cpp): the same bytes in every run
  std::vector<std::byte> bytes(1000);
  for (auto& byte : bytes) {
    byte = static_cast<std::byte>(random());
  }
  const std::span<const std::byte> all(bytes);
  const std::uint32_t whole = crc32c(all);
  CHECK(crc32c_portable(all) == whole);
  for (std::size_t cut = 0; cut <= all.size(); cut += 37) {
    CHECK(crc32c(all.subspan(cut), crc32c(all.first(cut))) == whole);
    CHECK(crc32c_portable(all.subspan(cut), crc32c_portable(all.first(cut))) == whole);
  }
}
