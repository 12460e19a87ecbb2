#include "common/platform/linked_file.h"

namespace sluice {

Result<std::string> read_linked_file(Filesystem& filesystem, const Path& path,
                                     std::uint64_t bytes_max) {
  std::error_code error;
  const Path target = std::filesystem::canonical(path, error);
  if (error) {
    return system_error("open " + path.string(), error.value());
  }
  return read_file(filesystem, target, bytes_max);
}

}  // namespace sluice
