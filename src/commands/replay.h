// `sluice replay`: puts segments that were set aside, and the events in files, back into the spool
// of a server that is stopped; its next start delivers them. Nothing doubles: a segment goes back
// under its name, and so to its keys; a file becomes one sealed segment whose uid is made of its
// content, so that it is known again (docs/decisions/replay.md).
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "common/platform/clock.h"
#include "common/platform/filesystem.h"
#include "common/platform/random.h"

namespace sluice {

struct ReplayOptions {
  std::vector<std::string> sources = {};  // segment ids and paths
  bool all_set_aside = false;             // and every segment in the spool's quarantine
  bool dry_run = false;                   // say what would be done; takes no lock, changes nothing
  bool again = false;                     // also what is known already: its events double
};

// 0 all replayed; 1 something was refused, each with its reason on stdout; 2 settings or usage; 3
// the spool is held by a server, or unusable.
int replay_command(const Config& config, const ReplayOptions& options);

// The same, for tests. Paths are absolute and without links.
struct ReplayOutside {
  Filesystem& filesystem;
  const Clock& clock;
  std::ostream& out;
  std::ostream& errors;
  std::uint32_t owner = 0;  // the uid that we run as
  std::uint64_t pid = 0;
  Random64 random = system_random();
};
int replay(const Config& config, const ReplayOptions& options, const ReplayOutside& outside);

}  // namespace sluice
