#include "stages/messages.h"

namespace sluice {

std::string_view to_string(ConnectionEnd end) {
  switch (end) {
    case ConnectionEnd::open:
      return "open";
    case ConnectionEnd::finished:
      return "finished";
    case ConnectionEnd::reset:
      return "reset";
    case ConnectionEnd::timed_out:
      return "document deadline";
    case ConnectionEnd::refused:
      return "not XML";
    case ConnectionEnd::shutdown:
      return "shutdown";
  }
  return "unknown";
}

}  // namespace sluice
