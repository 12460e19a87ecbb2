#include "common/ndjson/json_scan.h"

#include <bit>

#include "common/base/utf8.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace sluice {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_hex(char c) {
  const char lower = static_cast<char>(c | 0x20);
  return is_digit(c) || (lower >= 'a' && lower <= 'f');
}

// A quote, a backslash, a control character or a byte of a longer character.
bool stops(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte >= 0x80 || c == '"' || c == '\\';
}

const char* find_stop(const char* p, const char* end) {
#ifdef __SSE2__
  const __m128i space = _mm_set1_epi8(0x20);
  const __m128i quote = _mm_set1_epi8('"');
  const __m128i backslash = _mm_set1_epi8('\\');
  for (; end - p >= 16; p += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const __m128i hit =  // signed: from 0x80 on bytes are below zero
        _mm_or_si128(_mm_cmplt_epi8(bytes, space),
                     _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash)));
    const int hits = _mm_movemask_epi8(hit);
    if (hits != 0) {
      return p + std::countr_zero(static_cast<unsigned>(hits));
    }
  }
#endif
  while (p != end && !stops(*p)) {
    ++p;
  }
  return p;
}

// Behind the escape that begins at p; null if it is none.
const char* escape_end(const char* p, const char* end) {
  if (end - p < 2) {
    return nullptr;
  }
  switch (p[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
      return p + 2;
    case 'u':
      return end - p >= 6 && is_hex(p[2]) && is_hex(p[3]) && is_hex(p[4]) && is_hex(p[5]) ? p + 6
                                                                                          : nullptr;
    default:
      return nullptr;
  }
}

const char* digits_end(const char* p, const char* end) {
  const char* const begin = p;
  while (p != end && is_digit(*p)) {
    ++p;
  }
  return p == begin ? nullptr : p;
}

// RFC 8259, 6.
const char* number_end(const char* p, const char* end) {
  if (*p == '-') {
    ++p;
  }
  if (p == end) {
    return nullptr;
  }
  p = *p == '0' ? p + 1 : digits_end(p, end);
  if (p != nullptr && p != end && *p == '.') {
    p = digits_end(p + 1, end);
  }
  if (p != nullptr && p != end && (*p == 'e' || *p == 'E')) {
    ++p;
    if (p != end && (*p == '+' || *p == '-')) {
      ++p;
    }
    p = digits_end(p, end);
  }
  return p;
}

const char* literal_end(const char* p, const char* end, std::string_view literal) {
  return std::string_view(p, static_cast<std::size_t>(end - p)).starts_with(literal)
             ? p + literal.size()
             : nullptr;
}

}  // namespace

const char* json_string_end(const char* p, const char* end) {
  for (;;) {
    p = find_stop(p, end);
    if (p == end || static_cast<unsigned char>(*p) < 0x20) {
      return nullptr;
    }
    if (*p == '"') {
      return p;
    }
    if (*p == '\\') {
      p = escape_end(p, end);
      if (p == nullptr) {
        return nullptr;
      }
      continue;
    }
    do {
      const std::size_t length = utf8_length({p, static_cast<std::size_t>(end - p)});
      if (length == 0) {
        return nullptr;
      }
      p += length;
    } while (p != end && static_cast<unsigned char>(*p) >= 0x80);
  }
}

const char* json_scalar_end(const char* p, const char* end) {
  switch (*p) {
    case '"': {
      const char* const quote = json_string_end(p + 1, end);
      return quote == nullptr ? nullptr : quote + 1;
    }
    case 't':
      return literal_end(p, end, "true");
    case 'f':
      return literal_end(p, end, "false");
    case 'n':
      return literal_end(p, end, "null");
    default:
      return *p == '-' || is_digit(*p) ? number_end(p, end) : nullptr;
  }
}

}  // namespace sluice
