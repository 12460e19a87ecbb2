// scan_json: whether a text is one JSON value (RFC 8259), strictly, and where its members lie. It
// makes no values: numbers stay text of any size and precision, strings keep their escapes. No
// recursion, no allocation, nothing behind the text is read. docs/decisions/log-line-parser.md
// says why it is our own, and what it accepts that other parsers do not. Pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sluice {

// Objects and arrays in each other: the outermost is the first.
inline constexpr std::uint32_t kJsonDepthMax = 64;

// Offsets in the text.
struct JsonSpan {
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
  [[nodiscard]] std::string_view in(std::string_view text) const {
    return text.substr(begin, end - begin);
  }
};

inline const char* skip_json_space(const char* p, const char* end) {
  while (p != end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')) {
    ++p;
  }
  return p;
}

// p stands behind a quote: where the string's closing quote stands. Null if it has none, or holds a
// control character, a wrong escape, or what is not UTF-8. A surrogate escape may stand alone.
const char* json_string_end(const char* p, const char* end);
// Behind the string, number or literal that begins at p, which is not `end`. Null if none does.
const char* json_scalar_end(const char* p, const char* end);

// What a scan is for. `depth` is that of the object, 1 for the outermost value. After a text that
// turns out to be no JSON, what was reported of it means nothing.
//   void object_begins(std::uint32_t depth);
//   void member_begins(std::uint32_t depth, JsonSpan key, std::uint32_t value_begin);
//   void member_ends(std::uint32_t depth, std::uint32_t value_end);
// A key is what stands between its quotes.
template <class Sink>
class JsonScan {
 public:
  JsonScan(std::string_view text, Sink& sink)
      : base_(text.data()), p_(text.data()), end_(text.data() + text.size()), sink_(sink) {}

  bool run() {
    for (;;) {
      p_ = skip_json_space(p_, end_);
      if (p_ == end_) {
        return false;
      }
      if (*p_ == '{' || *p_ == '[') {
        if (!open()) {
          return false;
        }
        if (!closes()) {
          if (in_object() && !member()) {
            return false;
          }
          continue;
        }
        close();
      } else if ((p_ = json_scalar_end(p_, end_)) == nullptr) {
        return false;
      }
      switch (behind_value()) {
        case Next::value:
          break;
        case Next::end:
          return true;
        case Next::wrong:
          return false;
      }
    }
  }

 private:
  enum class Next : std::uint8_t { value, end, wrong };

  [[nodiscard]] std::uint32_t at(const char* p) const {
    return static_cast<std::uint32_t>(p - base_);
  }
  [[nodiscard]] bool in_object() const { return (objects_ & 1U) != 0; }

  bool open() {
    if (depth_ == kJsonDepthMax) {
      return false;
    }
    ++depth_;
    objects_ = objects_ << 1U | (*p_ == '{' ? 1U : 0U);
    if (in_object()) {
      sink_.object_begins(depth_);
    }
    p_ = skip_json_space(p_ + 1, end_);
    return true;
  }
  [[nodiscard]] bool closes() const { return p_ != end_ && *p_ == (in_object() ? '}' : ']'); }
  void close() {
    ++p_;
    objects_ >>= 1U;
    --depth_;
  }

  // Key and colon; p_ comes to stand before the value.
  bool member() {
    p_ = skip_json_space(p_, end_);
    if (p_ == end_ || *p_ != '"') {
      return false;
    }
    const char* const key = p_ + 1;
    const char* const key_end = json_string_end(key, end_);
    if (key_end == nullptr) {
      return false;
    }
    p_ = skip_json_space(key_end + 1, end_);
    if (p_ == end_ || *p_ != ':') {
      return false;
    }
    p_ = skip_json_space(p_ + 1, end_);
    sink_.member_begins(depth_, {at(key), at(key_end)}, at(p_));
    return true;
  }

  // p_ stands behind a value: to the next one, closing what ends here.
  Next behind_value() {
    while (depth_ != 0) {
      if (in_object()) {
        sink_.member_ends(depth_, at(p_));
      }
      p_ = skip_json_space(p_, end_);
      if (p_ != end_ && *p_ == ',') {
        ++p_;
        return in_object() && !member() ? Next::wrong : Next::value;
      }
      if (!closes()) {
        return Next::wrong;
      }
      close();
    }
    return skip_json_space(p_, end_) == end_ ? Next::end : Next::wrong;
  }

  const char* base_;
  const char* p_;
  const char* end_;
  Sink& sink_;
  std::uint32_t depth_ = 0;
  std::uint64_t objects_ = 0;  // a bit a level, the innermost lowest: is it an object?
  static_assert(kJsonDepthMax <= 64);
};

// `text` is shorter than 4 GiB.
template <class Sink>
bool scan_json(std::string_view text, Sink& sink) {
  return JsonScan<Sink>(text, sink).run();
}

}  // namespace sluice
