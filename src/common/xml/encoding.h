// Names of character encodings in XML declarations (XML 1.0, 4.3.3; IANA character sets).
#pragma once

#include <string>
#include <string_view>

namespace sluice {

enum class EncodingKind {
  utf8,         // also where nothing is declared
  ascii,        // US-ASCII: a part of UTF-8
  single_byte,  // a superset of ASCII with one byte a character: transcoded
  unsupported,  // all others: UTF-16, EBCDIC, Shift_JIS, UTF-7, …
};

EncodingKind encoding_kind(std::string_view name);

// The value of `key` ("version", "encoding") in the text of a declaration, without its quotes;
// empty where there is none. Lenient: the framer's look, not the validator's.
std::string_view declaration_value(std::string_view declaration, std::string_view key);

}  // namespace sluice
