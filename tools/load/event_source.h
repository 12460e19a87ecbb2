// Renders events for a connection's send buffer: declaration, event, separator, each with an
// identifier of its own.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "event_forms.h"
#include "options.h"
#include "random.h"
#include "source.h"

namespace sluice::load {

class EventSource final : public Source {
 public:
  EventSource(const Options& options, Record& record);

  // Appends an event to `buffer`. The first of a connection is well-formed, whatever the share of
  // malformed events: it shows the framer the root name at which it can find its way back.
  void append(bool first_of_connection, std::string& buffer,
              std::deque<RenderedEvent>& rendered) override;

 private:
  void append_between(bool first_of_connection, std::string& buffer);

  const Options& options_;
  Record& record_;
  EventForms forms_;
  Random random_;
  std::uint64_t next_identifier_;
};

}  // namespace sluice::load
