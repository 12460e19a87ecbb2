// FakeS3Server: runs tests/fakes/s3_server.py for as long as this lives, and talks to its control
// endpoints. For one thread.
#pragma once

#include <sys/types.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/base/units.h"

namespace sluice {

// A server of tests/fakes/ as a process, which ends with this.
class PythonServer {
 public:
  // The name of the script, and what it takes beside --stdin-lifeline.
  explicit PythonServer(const std::string& script, std::vector<std::string> arguments = {},
                        std::string ca_file = {});
  PythonServer(const PythonServer&) = delete;
  PythonServer& operator=(const PythonServer&) = delete;
  ~PythonServer();

  [[nodiscard]] int port() const { return port_; }
  [[nodiscard]] std::string url() const {
    return (ca_file_.empty() ? "http" : "https") + ("://127.0.0.1:" + std::to_string(port_));
  }
  // Of the authority that signed its certificate; empty where it serves http.
  [[nodiscard]] const std::string& ca_file() const { return ca_file_; }

  // POST where there is a body, else GET. Not const: it changes the server.
  // NOLINTNEXTLINE(readability-make-member-function-const)
  nlohmann::json control(const std::string& name, const nlohmann::json& body);

 private:
  std::string ca_file_;
  pid_t pid_ = -1;
  int lifeline_ = -1;
  int port_ = 0;
};

class FakeS3Server : public PythonServer {
 public:
  // `arguments` as s3_server.py takes them. `tls_directory`, where it is not empty, makes it serve
  // https, with the authority of its certificate in ca_file().
  explicit FakeS3Server(std::vector<std::string> arguments = {},
                        const std::string& tls_directory = {})
      : PythonServer("s3_server.py", with_tls(std::move(arguments), tls_directory),
                     tls_directory.empty() ? "" : tls_directory + "/ca.pem") {}

  void fault(const nlohmann::json& fault) { static_cast<void>(control("fault", fault)); }
  void clear() { static_cast<void>(control("clear", nlohmann::json::object())); }
  void set(const nlohmann::json& values) { static_cast<void>(control("set", values)); }
  void deny(const std::string& prefix, bool denied);
  [[nodiscard]] nlohmann::json log() { return control("log", nullptr); }
  [[nodiscard]] nlohmann::json objects() { return control("objects", nullptr); }
  [[nodiscard]] nlohmann::json requests() { return control("requests", nullptr); }
  [[nodiscard]] nlohmann::json uploads() { return control("uploads", nullptr); }
  // Writes to the log that replaced an object.
  [[nodiscard]] std::size_t overwrites();

 private:
  static std::vector<std::string> with_tls(std::vector<std::string> arguments,
                                           const std::string& directory) {
    if (!directory.empty()) {
      arguments.insert(arguments.end(), {"--tls", directory});
    }
    return arguments;
  }
};

}  // namespace sluice
