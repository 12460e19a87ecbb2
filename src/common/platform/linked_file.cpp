#include "common/platform/linked_file.h"

namespace sluice {
namespace {

Result<Path> target_of(const Path& path) {
  std::error_code error;
  Path target = std::filesystem::canonical(path, error);
  if (error) {
    return system_error("open " + path.string(), error.value());
  }
  return target;
}

}  // namespace

Result<std::string> read_linked_file(Filesystem& filesystem, const Path& path,
                                     std::uint64_t bytes_max) {
  const auto target = target_of(path);
  return target ? read_file(filesystem, *target, bytes_max) : Result<std::string>(target.error());
}

Result<std::unique_ptr<File>> open_linked_file(Filesystem& filesystem, const Path& path) {
  const auto target = target_of(path);
  return target ? filesystem.open(*target, OpenMode::read)
                : Result<std::unique_ptr<File>>(target.error());
}

}  // namespace sluice
