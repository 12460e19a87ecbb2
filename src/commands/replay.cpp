#include "commands/replay.h"

#include <unistd.h>

#include <iostream>
#include <memory>
#include <system_error>
#include <utility>
#include <variant>

#include "commands/exit_code.h"
#include "commands/replayer.h"
#include "commands/rotate.h"
#include "common/platform/posix_filesystem.h"
#include "common/spool/spool_format_file.h"

namespace sluice {
namespace {

int fail(const ReplayOutside& outside, int exit_code, const std::string& message) {
  outside.errors << "sluice replay: " << message << '\n';
  return exit_code;
}

std::string locked_text(const Config& config, const std::string& holder) {
  return "a server" + holder + " runs on SPOOL_DIR=" + config.spool_dir +
         ": stop it, replay, and start it again; the start delivers what was replayed";
}

std::string refusal_text(const Config& config, const SpoolRefusal& refusal) {
  switch (refusal.kind) {
    case SpoolRefusal::Kind::locked:
      return locked_text(config, "") + " (" + refusal.error.message + ")";
    case SpoolRefusal::Kind::unsafe:
      return refusal.error.message + ", or run this as the user of the server";
    default:
      return refusal.error.message;
  }
}

}  // namespace

int replay(const Config& config, const ReplayOptions& options, const ReplayOutside& outside) {
  if (options.sources.empty() && !options.all_set_aside) {
    return fail(outside, kExitConfiguration,
                "nothing to replay: name segments or files, or --all-set-aside");
  }
  // A spool is not made here: in one that no server uses the events would lie for ever.
  if (auto format = read_spool_format(outside.filesystem, config.spool_dir); !format) {
    return fail(outside, kExitSpool,
                format.error().message + ". SPOOL_DIR has to be that of the server.");
  }
  std::unique_ptr<SpoolDirectory> spool;
  if (!options.dry_run) {
    auto opened = SpoolDirectory::open(outside.filesystem, outside.clock,
                                       {.path = config.spool_dir,
                                        .destination = config.destination(),
                                        .owner = outside.owner,
                                        .pid = outside.pid,
                                        .random = outside.random});
    if (auto* refusal = std::get_if<SpoolRefusal>(&opened)) {
      return fail(outside, refusal->exit_code(), refusal_text(config, *refusal));
    }
    spool = std::move(std::get<std::unique_ptr<SpoolDirectory>>(opened));
  }
  auto known = KnownSegments::read(outside.filesystem, config.spool_dir);
  if (!known) {
    return fail(outside, kExitSpool, known.error().message);
  }
  Replayer replayer(config, options, outside, *std::move(known));
  replayer.use(std::move(spool));
  return replayer.run();
}

int replay_command(const Config& config, const ReplayOptions& options) {
  PosixFilesystem filesystem;
  SystemClock clock;
  const ReplayOutside outside{.filesystem = filesystem,
                              .clock = clock,
                              .out = std::cout,
                              .errors = std::cerr,
                              .owner = ::geteuid(),
                              .pid = static_cast<std::uint64_t>(::getpid())};
  // So that a path says in which folder a file lies; what is not there is refused later, by name.
  const auto resolved = [](const std::string& path) {
    std::error_code error;
    const Path found = std::filesystem::weakly_canonical(std::filesystem::absolute(path), error);
    return error ? path : found.string();
  };
  Config resolved_config = config;
  resolved_config.spool_dir = resolved(config.spool_dir);
  ReplayOptions resolved_options = options;
  for (std::string& source : resolved_options.sources) {
    source = parse_segment_id(source) ? source : resolved(source);
  }
  if (const auto pid = running_pid(resolved_config.spool_dir); pid && options.dry_run) {
    return fail(outside, kExitSpool,
                locked_text(config, " (process " + std::to_string(*pid) + ")"));
  }
  return replay(resolved_config, resolved_options, outside);
}

}  // namespace sluice
