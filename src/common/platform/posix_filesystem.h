// The real disk.
#pragma once

#include "common/platform/filesystem.h"

namespace sluice {

class PosixFilesystem final : public Filesystem {
 public:
  Result<std::unique_ptr<File>> open(const Path& path, OpenMode mode) override;
  Result<std::vector<DirectoryEntry>> list(const Path& directory) override;
  Result<FileInfo> info(const Path& path) override;
  Status create_directories(const Path& directory) override;
  Status rename(const Path& from, const Path& to) override;
  Status rename_exclusive(const Path& from, const Path& to) override;
  Status link(const Path& from, const Path& to) override;
  Status unlink(const Path& path) override;
  Status sync_directory(const Path& directory) override;
  Result<DiskSpace> space(const Path& path) override;
  Result<std::unique_ptr<FileLock>> lock(const Path& path, std::string_view content) override;
};

}  // namespace sluice
