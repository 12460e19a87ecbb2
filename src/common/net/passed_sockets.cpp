#include "common/net/passed_sockets.h"

#include <systemd/sd-daemon.h>

#include <cstdlib>
#include <iterator>
#include <utility>

namespace sluice {

Result<PassedSockets> PassedSockets::from_environment() {
  char** names = nullptr;
  // Sets FD_CLOEXEC on each.
  const int count = ::sd_listen_fds_with_names(1, &names);
  if (count < 0) {
    return system_error("the sockets that systemd passed (LISTEN_FDS)", -count);
  }
  std::vector<Passed> passed;
  for (int i = 0; i < count; ++i) {
    passed.push_back({names[i], UniqueFd(SD_LISTEN_FDS_START + i)});
    std::free(names[i]);  // NOLINT(cppcoreguidelines-no-malloc): libsystemd's
  }
  std::free(static_cast<void*>(names));
  return PassedSockets(std::move(passed));
}

std::vector<PassedSockets::Passed> PassedSockets::take(std::string_view name) {
  std::vector<Passed> taken;
  std::vector<Passed> left;
  for (Passed& one : passed_) {
    (name.empty() || one.name == name ? taken : left).push_back(std::move(one));
  }
  passed_ = std::move(left);
  return taken;
}

std::string PassedSockets::names() const {
  std::string names;
  for (const Passed& one : passed_) {
    names += (names.empty() ? "" : ", ") + one.name;
  }
  return names;
}

}  // namespace sluice
