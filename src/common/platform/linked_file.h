// Files that others mount into our view, such as secrets.
#pragma once

#include <memory>
#include <string>

#include "common/platform/filesystem.h"

namespace sluice {

// Like read_file, but follows links: Kubernetes mounts a secret as a link into a folder that it
// swaps as a whole. The error has the errno.
Result<std::string> read_linked_file(Filesystem& filesystem, const Path& path,
                                     std::uint64_t bytes_max);
// The same for reading, for those who look at its owner and mode as well.
Result<std::unique_ptr<File>> open_linked_file(Filesystem& filesystem, const Path& path);

}  // namespace sluice
