// Texts out of JSON that scan_json accepted. All append to `out` and are pure functions. A
// surrogate escape that stands alone has no character (RFC 8259, 8.2), and UTF-8 no form for it:
// it becomes U+FFFD wherever text is written, so that what is stored loads everywhere.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "common/ndjson/json_scan.h"

namespace sluice {

// A member of an object, in the order of the keys in the text.
struct JsonMember {
  JsonSpan key;  // between its quotes
  JsonSpan value;
  std::uint32_t object = 0;  // number of its object, the outermost 1
  std::uint32_t next = 0;    // the first member behind this one and all within it
  JsonSpan name;             // what the key means: in the text, or where it was decoded to
  std::uint32_t name_hash = 0;
  bool decoded = false;
  bool dropped = false;  // a later one of the same object has its name
};

// The text that `inner`, what stands between the quotes of a string, means, as UTF-8. Never longer.
void append_decoded(std::string_view inner, std::string& out);
// The same string, lone surrogates mended, for between the quotes of another. Never longer.
void append_mended(std::string_view inner, std::string& out);
// The text of a value without white space between tokens and without dropped members. `members`
// are all of `text`; those of the value begin at `first_member`. Never longer than the value.
void append_compact(std::string_view text, JsonSpan value, std::span<const JsonMember> members,
                    std::size_t first_member, std::string& out);
// Compact JSON text for between the quotes of a string. Up to twice as long.
void append_quoted(std::string_view compact, std::string& out);

}  // namespace sluice
