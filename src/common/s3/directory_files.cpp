#include "common/s3/directory_files.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace sluice {
namespace {

constexpr std::size_t kCompareBytes = 256 * kKiB;

// Whether keys that begin with `folder` ("a/b/") may be wanted by `request`.
bool may_hold(const std::string& folder, const ListRequest& request, const std::string& after) {
  return (folder.starts_with(request.prefix) || request.prefix.starts_with(folder)) &&
         after.compare(0, folder.size(), folder) <= 0;
}

struct Walk {
  Filesystem& filesystem;
  const ListedDirectory& directory;
  const ListRequest& request;
  const std::string& after;
  std::size_t objects_max;
  ObjectPage page = {};
};

// Goes through `folder` in the order of the keys: a directory stands where its keys do, that is
// with a '/' behind its name. False: the page is full. As deep as a key has folders.
Result<bool> walk(Walk& walking, const std::string& folder) {
  Result<std::vector<DirectoryEntry>> entries =
      walking.filesystem.list(walking.directory.root / folder);
  if (!entries && entries.error().code == ENOENT) {
    return true;  // removed since its parent was listed
  }
  if (!entries) {
    return entries.error();
  }
  for (DirectoryEntry& entry : *entries) {
    entry.name += entry.info.type == FileType::directory ? "/" : "";
  }
  std::sort(entries->begin(), entries->end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  for (const DirectoryEntry& entry : *entries) {
    const std::string key = folder + entry.name;
    if (entry.info.type == FileType::directory) {
      if (key == walking.directory.hidden + "/" || !may_hold(key, walking.request, walking.after)) {
        continue;
      }
      Result<bool> goes_on = walk(walking, key);
      if (!goes_on || !*goes_on) {
        return goes_on;
      }
    } else if (entry.info.type == FileType::regular && key.starts_with(walking.request.prefix) &&
               key > walking.after) {
      if (walking.page.objects.size() == walking.objects_max) {
        walking.page.continuation = walking.page.objects.back().key;
        return false;
      }
      walking.page.objects.push_back(
          {.key = key, .bytes = entry.info.bytes, .modified_at = entry.info.modified_at});
    }
  }
  return true;
}

}  // namespace

Result<bool> same_content(Filesystem& filesystem, const Path& one, const Path& other) {
  Result<std::unique_ptr<File>> first = filesystem.open(one, OpenMode::read);
  if (!first) {
    return first.error();
  }
  Result<std::unique_ptr<File>> second = filesystem.open(other, OpenMode::read);
  if (!second) {
    return second.error();
  }
  std::vector<std::byte> ours(kCompareBytes);
  std::vector<std::byte> theirs(kCompareBytes);
  for (std::uint64_t at = 0;; at += kCompareBytes) {
    const Result<std::size_t> first_bytes = (*first)->pread(ours, at);
    const Result<std::size_t> second_bytes = (*second)->pread(theirs, at);
    if (!first_bytes || !second_bytes) {
      return first_bytes ? second_bytes.error() : first_bytes.error();
    }
    if (*first_bytes != *second_bytes ||
        std::memcmp(ours.data(), theirs.data(), *first_bytes) != 0) {
      return false;
    }
    if (*first_bytes < kCompareBytes) {
      return true;
    }
  }
}

Result<ObjectPage> list_objects(Filesystem& filesystem, const ListedDirectory& directory,
                                const ListRequest& request) {
  Walk walking{.filesystem = filesystem,
               .directory = directory,
               .request = request,
               .after = request.continuation.empty() ? request.start_after : request.continuation,
               .objects_max = std::clamp(request.objects_max, 1U, kPageItemsMax)};
  if (const Result<bool> whole = walk(walking, ""); !whole) {
    return whole.error();
  }
  return std::move(walking.page);
}

}  // namespace sluice
