#include "common/platform/filesystem.h"

#include <cerrno>

#include "common/base/buffer.h"

namespace sluice {

Status write_all(File& file, std::span<const std::span<const std::byte>> parts,
                 std::uint64_t offset) {
  std::vector<std::span<const std::byte>> left(parts.begin(), parts.end());
  std::size_t first = 0;
  while (first < left.size()) {
    if (left[first].empty()) {
      ++first;
      continue;
    }
    auto written = file.pwritev(std::span(left).subspan(first), offset);
    if (!written) {
      return written.error();
    }
    offset += *written;
    std::size_t bytes = *written;
    while (first < left.size() && bytes >= left[first].size()) {
      bytes -= left[first++].size();
    }
    if (bytes > 0) {
      left[first] = left[first].subspan(bytes);
    }
  }
  return {};
}

Status write_all(File& file, std::span<const std::byte> bytes, std::uint64_t offset) {
  const std::span<const std::byte> part[] = {bytes};
  return write_all(file, part, offset);
}

Result<std::string> read_file(Filesystem& filesystem, const Path& path, std::uint64_t bytes_max) {
  auto file = filesystem.open(path, OpenMode::read);
  if (!file) {
    return file.error();
  }
  auto info = (*file)->info();
  if (!info) {
    return info.error();
  }
  if (info->type != FileType::regular) {
    return system_error(path.string() + ": not a regular file", EINVAL);
  }
  if (info->bytes > bytes_max) {
    return system_error(path.string() + ": larger than expected", EFBIG);
  }
  std::string content(info->bytes, '\0');
  auto read = (*file)->pread(std::as_writable_bytes(std::span(content)), 0);
  if (!read) {
    return read.error();
  }
  content.resize(*read);
  return content;
}

Status replace_file(Filesystem& filesystem, const Path& path, std::string_view content) {
  Path temporary = path;
  temporary += ".tmp";
  auto file = filesystem.open(temporary, OpenMode::create_or_open);
  if (!file) {
    return file.error();
  }
  for (const auto& step : {(*file)->truncate(0), write_all(**file, as_bytes(content), 0),
                           (*file)->fdatasync(), filesystem.rename(temporary, path)}) {
    if (!step) {
      return step;
    }
  }
  return filesystem.sync_directory(path.parent_path());
}

}  // namespace sluice
