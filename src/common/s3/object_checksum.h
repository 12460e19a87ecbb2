// Checksums of an object's bytes. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "common/s3/object_store.h"

namespace sluice {

using Md5 = std::array<std::uint8_t, 16>;

// Not for security: S3 defines the ETag of a plain object as its MD5. Nothing where OpenSSL has
// none (a FIPS build).
std::optional<Md5> md5_of(const ObjectBody& body);

}  // namespace sluice
