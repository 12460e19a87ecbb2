#include "event_source.h"

#include <string_view>

namespace sluice::load {

EventSource::EventSource(const Options& options, Record& record)
    : options_(options),
      record_(record),
      forms_(options.type, options.seed),
      random_(mix(options.seed)),
      next_identifier_(random_.next()) {}

void EventSource::append_between(bool first_of_connection, std::string& buffer) {
  if (!first_of_connection) {
    switch (options_.separator) {
      case Separator::none:
        break;
      case Separator::lf:
        buffer += '\n';
        break;
      case Separator::crlf:
        buffer += "\r\n";
        break;
      case Separator::mixed: {
        constexpr std::string_view kMixed[] = {"", "\n", "\r\n", "  \n\t", "\n\n"};
        buffer += kMixed[random_.below(std::size(kMixed))];
        break;
      }
    }
  }
  const bool declare = options_.declarations == Declarations::always ||
                       (options_.declarations == Declarations::mixed && random_.below(2) == 0);
  if (declare) {
    buffer += R"(<?xml version="1.0" encoding="UTF-8"?>)";
    buffer += random_.below(2) == 0 ? "\n" : "";
  }
}

void EventSource::append(bool first_of_connection, std::string& buffer,
                         std::deque<RenderedEvent>& rendered) {
  append_between(first_of_connection, buffer);
  const bool malformed =
      !first_of_connection && options_.malformed > 0 && random_.share() < options_.malformed;
  const EventForm& form = malformed ? forms_.pick_malformed(random_) : forms_.pick(random_);
  const std::uint64_t identifier = mix(next_identifier_++);
  const std::size_t begin = buffer.size();
  buffer += form.bytes;
  put_identifier(identifier, buffer.data() + begin + form.identifier_at);

  RenderedEvent& event = rendered.emplace_back();
  event.end = buffer.size();
  if (record_.is_open()) {
    std::string values = form.values;
    if (!malformed) {
      put_identifier(identifier, values.data() + form.values_identifier_at);
    }
    event.note = record_.note(identifier, std::string_view(buffer).substr(begin), values);
  }
}

}  // namespace sluice::load
