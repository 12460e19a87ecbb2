// `sluice run`: the server.
#pragma once

#include <string>

#include "common/config/config.h"

namespace sluice {

// Until SIGTERM or SIGINT. `config_path`: read again on SIGHUP; may be empty. The exit code:
// exit_code.h.
int run_command(const Config& config, const std::string& config_path);

}  // namespace sluice
