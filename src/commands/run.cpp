// The server: construct, connect, run. The picture is in stages/messages.h; ingest_half and
// egress_half hold the stages of a half and the queues between them.
#include "commands/run.h"

#include <malloc.h>
#include <unistd.h>

#include <csignal>
#include <memory>
#include <string>

#include "commands/exit_code.h"
#include "commands/server.h"
#include "common/log/log.h"
#include "common/platform/signals.h"

namespace sluice {
namespace {

constexpr auto kTurn = std::chrono::milliseconds(100);

// What the operator asked for while we ran; true when it is to end.
bool obey(Server& server, int signal) {
  switch (signal) {
    case SIGUSR1:
      server.seal_now();
      return false;
    case SIGHUP:
      server.reload();
      return false;
    default:
      return true;
  }
}

// Else each thread keeps what it freed for itself, and memory that one stage returned to the budget
// is not there for the next: docs/decisions/one-malloc-arena.md.
void share_freed_memory() {
#ifdef M_ARENA_MAX
  ::mallopt(M_ARENA_MAX, 1);  // NOLINT(concurrency-mt-unsafe): there is no other thread yet
#endif
}

}  // namespace

int run_command(const Config& config, const std::string& config_path) {
  // Both before any thread: they inherit what is blocked.
  share_freed_memory();
  const SignalWaiter signals({SIGTERM, SIGINT, SIGHUP, SIGUSR1});
  log::set_format(config.log_format);
  log::set_level(config.log_level);
  for (const std::string& warning : config.warnings) {
    log::warning("configuration", {{"message", warning}});
  }

  Server server(config, config_path);
  if (const int refused = server.open(); refused != kExitClean) {
    return refused;
  }
  server.start();
  for (;;) {
    const auto signal = signals.wait_for(kTurn);
    if (signal && obey(server, *signal)) {
      break;
    }
    if (!server.watch()) {
      return server.fail();
    }
  }
  return server.drain([&signals] {
    const auto signal = signals.wait_for(kTurn);
    return signal && (*signal == SIGTERM || *signal == SIGINT);
  });
}

}  // namespace sluice
