#include "token_line.h"

#include <cerrno>
#include <fstream>
#include <nlohmann/json.hpp>

namespace sluice::load {

Result<std::string> read_token_line(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    return system_error("--token " + path, errno);
  }
  std::string token;
  while (std::getline(in, token)) {
    token.erase(token.find_last_not_of(" \t\r") + 1);
    if (!token.empty() && token.front() != '#') {
      return nlohmann::json{{"token", token}}.dump(-1, ' ', true,
                                                   nlohmann::json::error_handler_t::replace) +
             "\n";
    }
  }
  return fatal("--token " + path + ": no token in it");
}

}  // namespace sluice::load
