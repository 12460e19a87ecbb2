// What DirectoryStore finds out about the files that are its objects. Blocks in the file system.
#pragma once

#include "common/base/result.h"
#include "common/platform/filesystem.h"
#include "common/s3/object_store.h"

namespace sluice {

Result<bool> same_content(Filesystem& filesystem, const Path& one, const Path& other);

struct ListedDirectory {
  Path root;
  std::string hidden;  // a folder below the root that holds no objects
};
// A page of the files below the root as objects. The continuation is the last key: a page costs a
// walk through the folders around it, not through those before.
Result<ObjectPage> list_objects(Filesystem& filesystem, const ListedDirectory& directory,
                                const ListRequest& request);

}  // namespace sluice
