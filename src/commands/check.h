// `sluice check`: would Sluice work here? Settings, spool and disk, ports, store. Works beside a
// running server: takes no lock, and what it writes has names of its own and is removed again.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "common/platform/filesystem.h"

namespace sluice {

struct CheckLine {
  enum class Verdict : std::uint8_t { ok, warning, failure };
  Verdict verdict = Verdict::ok;
  std::string subject;  // "spool", "disk sync"
  std::string text;     // what was found and, where it is not well, what to do
};

// Prints a line each. 0 where none is a failure, else 1. Blocks for up to about a minute.
int check_command(const Config& config);

// The parts. All block for a few file operations.
std::vector<CheckLine> check_spool(const Config& config, Filesystem& filesystem);
CheckLine check_sync(Filesystem& filesystem, const Path& directory);

// The directory, or the nearest one above it that exists; and whether this user may write in one.
Path nearest_existing(Filesystem& filesystem, const Path& directory);
bool writable(const Path& directory);

std::string to_text(const CheckLine& line);

}  // namespace sluice
