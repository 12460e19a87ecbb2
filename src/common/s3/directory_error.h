// What a failed call of the file system means to a caller of ObjectStore.
#pragma once

#include "common/base/result.h"
#include "common/s3/object_store.h"

namespace sluice {

// Error::code of this store's own refusals: no errno has these values.
inline constexpr int kExistsWithOtherBytes = -1;
inline constexpr int kBadKey = -2;
inline constexpr int kUploadLost = -3;

// Everything that the disk says may pass, but for a name that it will never take.
StoreError directory_error(const Error& error);

}  // namespace sluice
