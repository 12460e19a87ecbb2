// What speaks against a directory as a place for durable files.
#pragma once

#include <optional>
#include <string>

#include "common/platform/filesystem.h"

namespace sluice {

// A sentence about the file system below `directory` where a synced file may be lost (tmpfs,
// overlay) or sync and lock are not what they are on a local disk (NFS, CIFS, FUSE); nothing where
// none is known.
std::optional<std::string> filesystem_hazard(const Path& directory);

struct AccessHazard {
  bool serious = false;  // refuse it; else warn
  std::string message;
};
// Another owner, or open to the world: serious. Open to the group: not.
std::optional<AccessHazard> access_hazard(const FileInfo& directory, std::uint32_t own_uid);

}  // namespace sluice
