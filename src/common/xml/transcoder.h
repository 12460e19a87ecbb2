// From declared single-byte encodings to UTF-8, by tables that iconv fills once an encoding.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

// The first byte at which `text` is no well-formed UTF-8 (Unicode 15, table 3-7: no overlong form,
// no surrogate, nothing above U+10FFFF), or its size.
std::size_t find_invalid_utf8(std::string_view text);
// The first byte above 0x7F, or the size.
std::size_t find_non_ascii(std::string_view text);

// One thread at a time.
class Transcoder {
 public:
  struct Character {
    std::array<char, 3> utf8{};
    std::uint8_t bytes = 0;  // 0: not defined in this encoding
  };
  using Table = std::array<Character, 256>;

  // The table of an encoding of EncodingKind::single_byte; nothing where iconv does not know it.
  // Valid until the next call.
  const Table* table(std::string_view encoding);

 private:
  static constexpr std::size_t kTablesMax = 16;
  struct Known {
    std::string name;
    std::optional<Table> table;
  };
  std::vector<Known> known_;
};

}  // namespace sluice
