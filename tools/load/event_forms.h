// Pre-rendered events with a hole for their identifier: sending one is a copy and 16 digits.
//
// The fields are the 42 of the access-control system's XML feed, in wire order, with what occurs
// there: names with umlauts and entities, numbers with a leading space, empty fields.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "options.h"
#include "random.h"

namespace sluice::load {

inline constexpr std::size_t kIdentifierDigits = 16;

struct EventForm {
  std::string bytes;            // from "<EVENT>" to "</EVENT>"
  std::size_t identifier_at{};  // in bytes: 16 hex digits that are to be replaced
  bool malformed = false;

  // What an XML parser must make of it: "name=value\n" for each child in order, entities resolved,
  // values stripped. Empty for malformed events.
  std::string values;
  std::size_t values_identifier_at{};
};

class EventForms {
 public:
  EventForms(EventType type, std::uint64_t seed);

  [[nodiscard]] const EventForm& pick(Random& random) const {
    return well_formed_[random.below(well_formed_.size())];
  }
  [[nodiscard]] const EventForm& pick_malformed(Random& random) const {
    return malformed_[random.below(malformed_.size())];
  }

 private:
  std::vector<EventForm> well_formed_;
  std::vector<EventForm> malformed_;
};

// Writes `identifier` as 16 hex digits to `to`.
void put_identifier(std::uint64_t identifier, char* to);

}  // namespace sluice::load
