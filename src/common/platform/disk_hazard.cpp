#include "common/platform/disk_hazard.h"

#include <linux/magic.h>
#include <sys/vfs.h>

#include <array>

namespace sluice {

namespace {

struct KnownFilesystem {
  std::uint64_t magic;
  const char* sentence;
};

constexpr std::uint64_t kCifsMagic = 0xFF534D42;  // not in older linux/magic.h
constexpr std::uint64_t kFuseMagic = 0x65735546;
constexpr const char* kNetwork =
    "is on a network file system: syncs and locks are not what they are on a local disk";
constexpr std::array kKnown{
    KnownFilesystem{TMPFS_MAGIC, "is in memory (tmpfs): what it holds is gone after a reboot"},
    KnownFilesystem{RAMFS_MAGIC, "is in memory (ramfs): what it holds is gone after a reboot"},
    KnownFilesystem{OVERLAYFS_SUPER_MAGIC,
                    "is in a container's own layer (overlay): what it holds goes with the "
                    "container; mount a volume there"},
    KnownFilesystem{NFS_SUPER_MAGIC, kNetwork},
    KnownFilesystem{SMB_SUPER_MAGIC, kNetwork},
    KnownFilesystem{kCifsMagic, kNetwork},
    KnownFilesystem{kFuseMagic, "is on a FUSE file system: whether a sync is durable is up to it"},
};

}  // namespace

std::optional<std::string> filesystem_hazard(const Path& directory) {
  struct statfs info {};
  if (::statfs(directory.c_str(), &info) != 0) {
    return std::nullopt;
  }
  const auto magic = static_cast<std::uint64_t>(static_cast<std::uint32_t>(info.f_type));
  for (const KnownFilesystem& known : kKnown) {
    if (known.magic == magic) {
      return directory.string() + " " + known.sentence;
    }
  }
  return std::nullopt;
}

std::optional<AccessHazard> access_hazard(const FileInfo& directory, std::uint32_t own_uid) {
  constexpr std::uint32_t kWorld = 0007;
  constexpr std::uint32_t kGroup = 0070;
  if (directory.owner != own_uid) {
    return AccessHazard{true, "belongs to uid " + std::to_string(directory.owner) +
                                  ", but this is uid " + std::to_string(own_uid)};
  }
  if ((directory.mode & kWorld) != 0) {
    return AccessHazard{true, "is open to everybody: chmod 700"};
  }
  if ((directory.mode & kGroup) != 0) {
    return AccessHazard{false, "is open to its group: chmod 700 unless that is meant"};
  }
  return std::nullopt;
}

}  // namespace sluice
