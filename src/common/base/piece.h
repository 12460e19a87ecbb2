// A piece is what a stream is cut into: an event, or a run of bytes that cannot be one. These
// numbers lie on disk (docs/spool_format.md): never reuse or renumber one.
#pragma once

#include <cstdint>
#include <string_view>

namespace sluice {

enum class PieceKind : std::uint8_t { event = 1, malformed = 2 };

// Why Frame cut a malformed run. Validate's own reasons are text (docs/architecture.md).
enum class CutReason : std::uint8_t {
  none = 0,                   // an event
  not_xml_here = 1,           // text between documents that starts no element
  bad_markup = 2,             // '<' followed by what cannot be markup
  unterminated = 3,           // the next document began before this one ended
  truncated = 4,              // the connection ended inside a document
  event_too_long = 5,         // over MAX_MESSAGE_SIZE: a bounded sample, the length is counted
  too_many_attributes = 6,    // over 256 in one element
  too_deep = 7,               // over 128 levels
  too_many_namespaces = 8,    // over 256 declarations in scope
  name_too_long = 9,          // over 1 KiB
  value_too_long = 10,        // an attribute value over 64 KiB
  unsupported_encoding = 11,  // UTF-16, UTF-32, EBCDIC or a declared multi-byte encoding
  not_xml_stream = 12,        // the connection's first bytes are no XML in any encoding
};

std::string_view to_string(CutReason reason);
// What to_string gave; `none` of any other text.
CutReason cut_reason_of(std::string_view text);

// One piece of a run of bytes.
struct Piece {
  std::uint32_t begin = 0;  // offset in its run
  std::uint32_t length = 0;
  PieceKind kind = PieceKind::event;
  CutReason reason = CutReason::none;
  bool continues = false;  // the next piece goes on where this malformed one stops
  bool operator==(const Piece&) const = default;
};

}  // namespace sluice
