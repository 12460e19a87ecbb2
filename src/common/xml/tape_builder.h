// TapeBuilder: the parser's callbacks turned into tokens of a tape. Knows nothing of libxml2 but
// that names are interned: equal names come with equal pointers for as long as its dictionary
// lives, and that texts come in any number of parts. One thread at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/xml/event_tape.h"

namespace sluice {

class TapeBuilder {
 public:
  // Names of another tape, or of another dictionary, begin.
  void forget_names();

  // `text` is what the parser reads; in the tape its first byte is `base`.
  void begin_event(EventTape& tape, std::string_view text, EventTape::Span base);
  void open(const char* local, const char* prefix);
  void attribute(const char* local, const char* prefix, std::string_view value);
  // xmlns="uri" where `prefix` is null, otherwise xmlns:prefix="uri".
  void namespace_declaration(const char* prefix, std::string_view uri);
  void text(std::string_view part);
  void close();

  [[nodiscard]] std::size_t names() const { return name_count_; }

 private:
  struct Name {
    const void* local = nullptr;
    const void* prefix = nullptr;
    std::uint32_t id = 0;
    std::uint32_t generation = 0;
  };

  std::uint32_t name_id(const void* local, const void* prefix, std::string_view first,
                        std::string_view second);
  void grow();
  EventTape::Span span_of(std::string_view part);
  void end_text();

  EventTape* tape_ = nullptr;
  std::string_view source_;
  EventTape::Span base_;
  std::vector<Name> names_;  // open addressing; a size that is a power of two
  std::size_t name_count_ = 0;
  std::uint32_t generation_ = 1;
  std::vector<bool> has_text_;  // of each open element: something but white space
  std::string_view pending_;    // a text that lies in the source, so far
  std::string joined_;          // a text that does not
};

}  // namespace sluice
