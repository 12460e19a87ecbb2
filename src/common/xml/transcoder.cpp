#include "common/xml/transcoder.h"

#include <iconv.h>

#include <bit>
#include <cstring>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace sluice {

namespace {

// Length of the well-formed character at `p`, 0 where there is none.
std::size_t character_bytes(const unsigned char* p, std::size_t left) {
  const auto follows = [&](std::size_t at, unsigned char low = 0x80, unsigned char high = 0xBF) {
    return at < left && p[at] >= low && p[at] <= high;
  };
  const unsigned char first = p[0];
  if (first < 0x80) {
    return 1;
  }
  if (first >= 0xC2 && first <= 0xDF) {
    return follows(1) ? 2 : 0;
  }
  if (first >= 0xE0 && first <= 0xEF) {
    const unsigned char low = first == 0xE0 ? 0xA0 : 0x80;
    const unsigned char high = first == 0xED ? 0x9F : 0xBF;
    return follows(1, low, high) && follows(2) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const unsigned char low = first == 0xF0 ? 0x90 : 0x80;
    const unsigned char high = first == 0xF4 ? 0x8F : 0xBF;
    return follows(1, low, high) && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

std::optional<Transcoder::Table> make_table(const std::string& encoding) {
  // NOLINTNEXTLINE(misc-misplaced-const): the handle itself is what stays
  const iconv_t converter = iconv_open("UTF-8", encoding.c_str());
  if (converter == reinterpret_cast<iconv_t>(-1)) {  // NOLINT(performance-no-int-to-ptr)
    return std::nullopt;
  }
  Transcoder::Table table;
  for (unsigned value = 0; value < table.size(); ++value) {
    char byte = static_cast<char>(value);
    char* in = &byte;
    std::size_t in_left = 1;
    std::array<char, 8> utf8{};
    char* out = utf8.data();
    std::size_t out_left = utf8.size();
    iconv(converter, nullptr, nullptr, nullptr, nullptr);
    const bool converted = iconv(converter, &in, &in_left, &out, &out_left) == 0 &&
                           iconv(converter, nullptr, nullptr, &out, &out_left) == 0;
    const std::size_t bytes = utf8.size() - out_left;
    if (converted && bytes >= 1 && bytes <= 3) {
      table[value].bytes = static_cast<std::uint8_t>(bytes);
      std::memcpy(table[value].utf8.data(), utf8.data(), bytes);
    }
  }
  iconv_close(converter);
  return table;
}

}  // namespace

std::size_t find_non_ascii(std::string_view text) {
  std::size_t at = 0;
#ifdef __SSE2__
  for (; text.size() - at >= 16; at += 16) {
    const int high =
        _mm_movemask_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data() + at)));
    if (high != 0) {
      return at + static_cast<std::size_t>(std::countr_zero(static_cast<unsigned>(high)));
    }
  }
#endif
  while (at < text.size() && static_cast<unsigned char>(text[at]) < 0x80) {
    ++at;
  }
  return at;
}

std::size_t find_invalid_utf8(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    at += find_non_ascii(text.substr(at));
    while (at < text.size() && static_cast<unsigned char>(text[at]) >= 0x80) {
      const std::size_t bytes = character_bytes(
          reinterpret_cast<const unsigned char*>(text.data()) + at, text.size() - at);
      if (bytes == 0) {
        return at;
      }
      at += bytes;
    }
  }
  return at;
}

const Transcoder::Table* Transcoder::table(std::string_view encoding) {
  for (const Known& known : known_) {
    if (known.name == encoding) {
      return known.table ? &*known.table : nullptr;
    }
  }
  if (known_.size() == kTablesMax) {
    known_.erase(known_.begin());
  }
  known_.push_back({std::string(encoding), make_table(std::string(encoding))});
  return known_.back().table ? &*known_.back().table : nullptr;
}

}  // namespace sluice
