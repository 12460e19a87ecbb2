// What a server that does not start says.
#pragma once

#include <string>
#include <string_view>

#include "common/log/log.h"

namespace sluice {

// In the log, for whoever looks at the terminal. Gives the exit code.
inline int refuse_to_start(int exit_code, std::string_view what, const std::string& message) {
  log::error("refused to start", {{"reason", what}, {"message", message}});
  return exit_code;
}

}  // namespace sluice
