#include "common/ndjson/json_text.h"

#include "common/base/check.h"
#include "common/base/utf8.h"

namespace sluice {

namespace {

constexpr std::uint32_t kReplacement = 0xFFFD;

std::uint32_t hex_number(std::string_view digits) {
  std::uint32_t number = 0;
  for (const char c : digits) {
    const auto digit = static_cast<std::uint32_t>(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    number = number << 4U | digit;
  }
  return number;
}

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
bool is_high(std::uint32_t unit) { return unit >= 0xD800 && unit < 0xDC00; }
bool is_low(std::uint32_t unit) { return unit >= 0xDC00 && unit < 0xE000; }

struct Escape {
  std::size_t length = 2;
  std::uint32_t character = 0;
};

// `text` begins with a backslash.
Escape read_escape(std::string_view text) {
  CHECK_THAT(text.size() >= 2);
  switch (text[1]) {
    case 'b':
      return {.character = '\b'};
    case 'f':
      return {.character = '\f'};
    case 'n':
      return {.character = '\n'};
    case 'r':
      return {.character = '\r'};
    case 't':
      return {.character = '\t'};
    case 'u':
      break;
    default:
      return {.character = static_cast<unsigned char>(text[1])};
  }
  const std::uint32_t unit = hex_number(text.substr(2, 4));
  if (is_high(unit) && text.substr(6).starts_with("\\u")) {
    const std::uint32_t low = hex_number(text.substr(8, 4));
    if (is_low(low)) {
      return {.length = 12, .character = 0x10000 + ((unit - 0xD800) << 10U) + (low - 0xDC00)};
    }
  }
  return {.length = 6, .character = is_high(unit) || is_low(unit) ? kReplacement : unit};
}

// Appends `inner`, each escape in it by `write(escape, its text)`.
template <class Write>
void append_with_escapes(std::string_view inner, std::string& out, const Write& write) {
  for (;;) {
    const std::size_t slash = inner.find('\\');
    out += inner.substr(0, slash);
    if (slash == std::string_view::npos) {
      return;
    }
    inner.remove_prefix(slash);
    const Escape escape = read_escape(inner);
    write(escape, inner.substr(0, escape.length));
    inner.remove_prefix(escape.length);
  }
}

}  // namespace

void append_decoded(std::string_view inner, std::string& out) {
  append_with_escapes(inner, out, [&out](const Escape& escape, std::string_view /*text*/) {
    append_utf8(escape.character, out);
  });
}

void append_mended(std::string_view inner, std::string& out) {
  append_with_escapes(inner, out, [&out](const Escape& escape, std::string_view text) {
    out += escape.character == kReplacement ? "\\ufffd" : text;
  });
}

void append_compact(std::string_view text, JsonSpan value, std::span<const JsonMember> members,
                    std::size_t first_member, std::string& out) {
  std::size_t next = first_member;
  for (std::size_t at = value.begin; at < value.end;) {
    const char c = text[at];
    if (c == '"') {
      if (next < members.size() && members[next].key.begin == at + 1) {
        const JsonMember& member = members[next];
        if (member.dropped) {
          at = member.value.end;
          next = member.next;
          continue;
        }
        ++next;
      }
      const char* const begin = text.data() + at + 1;
      const char* const quote = json_string_end(begin, text.data() + value.end);
      CHECK_THAT(quote != nullptr);
      out += '"';
      append_mended({begin, static_cast<std::size_t>(quote - begin)}, out);
      out += '"';
      at = static_cast<std::size_t>(quote + 1 - text.data());
    } else if (c == ',') {
      // What a dropped member leaves: the last member of an object is never one.
      if (out.back() != '{' && out.back() != ',') {
        out += c;
      }
      ++at;
    } else if (is_space(c)) {
      ++at;
    } else {
      const std::size_t begin = at;
      while (at < value.end && !is_space(text[at]) && text[at] != '"' && text[at] != ',') {
        ++at;
      }
      out += text.substr(begin, at - begin);
    }
  }
}

void append_quoted(std::string_view compact, std::string& out) {
  for (;;) {
    const std::size_t special = compact.find_first_of("\"\\");
    out += compact.substr(0, special);
    if (special == std::string_view::npos) {
      return;
    }
    out += '\\';
    out += compact[special];
    compact.remove_prefix(special + 1);
  }
}

}  // namespace sluice
