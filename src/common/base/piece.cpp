#include "common/base/piece.h"

namespace sluice {

std::string_view to_string(CutReason reason) {
  switch (reason) {
    case CutReason::none:
      return "none";
    case CutReason::not_xml_here:
      return "text outside an element";
    case CutReason::bad_markup:
      return "not well-formed markup";
    case CutReason::unterminated:
      return "the next document began before this one ended";
    case CutReason::truncated:
      return "the connection ended inside a document";
    case CutReason::event_too_long:
      return "longer than MAX_MESSAGE_SIZE";
    case CutReason::too_many_attributes:
      return "more than 256 attributes in one element";
    case CutReason::too_deep:
      return "nested deeper than 128 levels";
    case CutReason::too_many_namespaces:
      return "more than 256 namespace declarations in scope";
    case CutReason::name_too_long:
      return "a name longer than 1 KiB";
    case CutReason::value_too_long:
      return "an attribute value longer than 64 KiB";
    case CutReason::unsupported_encoding:
      return "unsupported encoding";
    case CutReason::not_xml_stream:
      return "the connection's first bytes are not XML";
  }
  return "unknown";
}

CutReason cut_reason_of(std::string_view text) {
  for (auto number = static_cast<std::uint8_t>(CutReason::not_xml_here);
       number <= static_cast<std::uint8_t>(CutReason::not_xml_stream); ++number) {
    if (to_string(static_cast<CutReason>(number)) == text) {
      return static_cast<CutReason>(number);
    }
  }
  return CutReason::none;
}

}  // namespace sluice
