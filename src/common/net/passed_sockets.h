// PassedSockets: the listening sockets that systemd hands to a service (sd_listen_fds(3)), each to
// be taken once. In: LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES; out: descriptors by name.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/platform/unique_fd.h"

namespace sluice {

class PassedSockets {
 public:
  struct Passed {
    std::string name;  // FileDescriptorName=, else the name of the socket unit
    UniqueFd fd;
  };

  PassedSockets() = default;  // none
  explicit PassedSockets(std::vector<Passed> passed) : passed_(std::move(passed)) {}

  // Owns them from now on, and takes the variables out of the environment: once a process, before
  // it has other threads. Without variables that are meant for this process: none.
  static Result<PassedSockets> from_environment();

  // Those named `name`, or all with an empty one; they are no longer here.
  std::vector<Passed> take(std::string_view name);
  // Of those that are still here: "a, b".
  [[nodiscard]] std::string names() const;

 private:
  std::vector<Passed> passed_;
};

}  // namespace sluice
