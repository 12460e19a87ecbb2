// AdminServer: /health, /ready, /metrics, /status and a live page on /, over HTTP with civetweb.
// GET only, no authentication: it belongs on loopback. Runs on a few threads of its own from
// start() until it dies.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "common/admin/conditions.h"
#include "common/admin/reports.h"
#include "common/base/result.h"

namespace sluice {

class AdminServer {
 public:
  struct Options {
    std::string host = "127.0.0.1";  // an address or "localhost"
    std::uint16_t port = 0;          // 0: any free one
  };

  // `reports` and `conditions` must outlive the server. Fatal where it cannot listen: names
  // address, port and cause. Sets SIGPIPE to ignored for the process; touches no other signal.
  static Result<std::unique_ptr<AdminServer>> start(const Options& options, const Reports& reports,
                                                    const Conditions& conditions);
  AdminServer(const AdminServer&) = delete;
  AdminServer& operator=(const AdminServer&) = delete;
  // Waits for requests that are being answered, at most about the time that one may take.
  ~AdminServer();

  [[nodiscard]] std::uint16_t port() const { return port_; }

  // What is served, for the callbacks.
  struct Answer {
    int status = 200;
    std::string content_type = "text/plain; charset=utf-8";
    std::string body;
  };
  // The answer to a request, without a socket. Thread-safe.
  [[nodiscard]] Answer answer(std::string_view method, std::string_view path) const;

 private:
  struct Server;
  AdminServer(const Reports& reports, const Conditions& conditions);

  const Reports& reports_;
  const Conditions& conditions_;
  std::uint16_t port_ = 0;
  std::unique_ptr<Server> server_;
};

}  // namespace sluice
