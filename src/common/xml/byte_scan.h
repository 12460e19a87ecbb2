// Hops to the next byte that matters, 16 bytes at a time where the processor has SSE2 (every
// x86-64), byte by byte elsewhere. Nothing behind `end` is read.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace sluice::byte_scan {

// XML's white space (XML 1.0, production 3).
inline bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

// May begin a name; every byte of a multi-byte character counts, the validator looks closer.
inline bool is_name_start(char c) {
  const auto lower = static_cast<unsigned char>(c | 0x20);
  return (lower >= 'a' && lower <= 'z') || c == '_' || c == ':' ||
         static_cast<unsigned char>(c) >= 0x80;
}

// Ends a name: white space and controls, and / > < = " '
inline bool ends_name(char c) {
  return static_cast<unsigned char>(c) <= 0x20 || c == '/' || c == '>' || c == '<' || c == '=' ||
         c == '"' || c == '\'';
}

// The first `wanted` in [p, end), or end.
inline const char* find(const char* p, const char* end, char wanted) {
#ifdef __SSE2__
  const __m128i pattern = _mm_set1_epi8(wanted);
  for (; end - p >= 16; p += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const int hits = _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, pattern));
    if (hits != 0) {
      return p + std::countr_zero(static_cast<unsigned>(hits));
    }
  }
#endif
  while (p != end && *p != wanted) {
    ++p;
  }
  return p;
}

// The first of two bytes in [p, end), or end.
inline const char* find_either(const char* p, const char* end, char first, char second) {
#ifdef __SSE2__
  const __m128i one = _mm_set1_epi8(first);
  const __m128i two = _mm_set1_epi8(second);
  for (; end - p >= 16; p += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const int hits =
        _mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi8(bytes, one), _mm_cmpeq_epi8(bytes, two)));
    if (hits != 0) {
      return p + std::countr_zero(static_cast<unsigned>(hits));
    }
  }
#endif
  while (p != end && *p != first && *p != second) {
    ++p;
  }
  return p;
}

// The first byte that ends a name, or end.
inline const char* find_name_end(const char* p, const char* end) {
#ifdef __SSE2__
  // Two ranges hold all that end a name, and '-', '.', '!' and some others that do not: those are
  // looked at again.
  const __m128i low = _mm_set1_epi8(0x2F);
  const __m128i from = _mm_set1_epi8(0x3C);
  const __m128i two = _mm_set1_epi8(2);
  while (end - p >= 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const __m128i above = _mm_sub_epi8(bytes, from);
    unsigned hits = static_cast<unsigned>(
        _mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi8(_mm_min_epu8(bytes, low), bytes),
                                       _mm_cmpeq_epi8(_mm_min_epu8(above, two), above))));
    while (hits != 0) {
      const int at = std::countr_zero(hits);
      if (ends_name(p[at])) {
        return p + at;
      }
      hits &= hits - 1;
    }
    p += 16;
  }
#endif
  while (p != end && !ends_name(*p)) {
    ++p;
  }
  return p;
}

}  // namespace sluice::byte_scan
