// The line with which a logs client says its token.
#pragma once

#include <string>

#include "common/base/result.h"

namespace sluice::load {

// {"token": "…"} with its LF, of the first line of the file that is neither blank nor begins with
// #: the server's own SERVER_TOKEN_FILE will do. Fatal: no file, or no token in it.
Result<std::string> read_token_line(const std::string& path);

}  // namespace sluice::load
