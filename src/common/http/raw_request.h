// A request as it stands in a file, parsed: "METHOD target HTTP/1.1", headers, an empty line, the
// body. More lenient than a server: somebody typed it or cut it out of a log. Pure, any thread.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/result.h"

namespace sluice {

struct RawRequest {
  std::string method;
  std::string path;   // as written: raw spaces and bytes above 0x7F stay
  std::string query;  // without '?'
  // In their order, repeated ones too. A folded line keeps its line feed in the value.
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;  // whatever Content-Length says

  // The value of the first header of this name (in any case), nullptr without one.
  [[nodiscard]] const std::string* header(std::string_view name) const;
};

bool same_header_name(std::string_view left, std::string_view right);

// Lines end with LF or CRLF. Rejected with the number of the line that is wrong, never its text:
// it may hold a token.
Result<RawRequest> parse_raw_request(std::string_view text);

}  // namespace sluice
