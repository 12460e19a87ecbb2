// XmlParser: is this one well-formed document, and what does it consist of? libxml2's SAX2
// interface on a context that is used again and again: no DOM, no DTD, no entities but the
// predefined ones, no file, no network, nothing printed. What it costs is bounded by the caps that
// XmlFramer has checked before, and by one of its own, 131,072 different names in a document. One
// thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "common/xml/event_tape.h"

namespace sluice {

// Why a document is not accepted. The text names no byte of it.
struct XmlRejection {
  std::string reason;
  std::uint32_t line = 0;    // 1-based within the document, 0 unknown
  std::uint32_t column = 0;  // in characters
};

class XmlParser {
 public:
  XmlParser();
  XmlParser(XmlParser&&) noexcept;
  XmlParser& operator=(XmlParser&&) noexcept;
  ~XmlParser();

  // Another tape begins: name ids start anew. Call before the first parse of each tape.
  void begin_tape();

  struct Document {
    std::uint32_t begin = 0;  // in the source
    std::uint32_t length = 0;
    bool tokens = false;  // leave tokens for JSON, too
  };
  // Appends an event to `tape`, whose source is `source`, or says why not. The byte behind the
  // document must exist; it is overwritten for the time of the call. The event is UTF-8: a
  // declared single-byte encoding is transcoded, declaration and byte order mark are left out, as
  // is what stands before and behind the root element. XML 1.1 is read as 1.0. Namespaces count:
  // an undeclared prefix is refused, since it would spoil the object for readers that look.
  std::optional<XmlRejection> parse(std::span<char> source, Document document, EventTape& tape);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice
