#include "common/s3/directory_error.h"

#include <cerrno>

namespace sluice {
namespace {

std::string_view errno_name(int code) {
  switch (code) {
    case ENOSPC:
      return "ENOSPC";
    case EDQUOT:
      return "EDQUOT";
    case EROFS:
      return "EROFS";
    case EACCES:
      return "EACCES";
    case EPERM:
      return "EPERM";
    case EIO:
      return "EIO";
    case ENOENT:
      return "ENOENT";
    case ENAMETOOLONG:
      return "ENAMETOOLONG";
    default:
      return "FilesystemError";
  }
}

std::string_view errno_advice(int code) {
  switch (code) {
    case ENOSPC:
    case EDQUOT:
      return "Free space on the file system of OUTPUT_DIR, or raise the quota.";
    case EROFS:
    case EACCES:
    case EPERM:
      return "Make OUTPUT_DIR writable for this user.";
    default:
      return "Check the file system of OUTPUT_DIR.";
  }
}

}  // namespace

StoreError directory_error(const Error& error) {
  StoreError made{.kind = StoreErrorKind::retry, .message = error.message};
  if (error.code == kExistsWithOtherBytes) {
    made.kind = StoreErrorKind::exists;
    made.code = "PreconditionFailed";
  } else if (error.code == kBadKey) {
    made.kind = StoreErrorKind::this_object;
    made.code = "InvalidKey";
  } else if (error.code == kUploadLost) {
    made.kind = StoreErrorKind::upload_lost;
    made.code = "NoSuchUpload";
  } else {
    made.code = errno_name(error.code);
    made.advice = errno_advice(error.code);
    if (error.code == ENAMETOOLONG) {
      made.kind = StoreErrorKind::this_object;
    }
  }
  return made;
}

}  // namespace sluice
