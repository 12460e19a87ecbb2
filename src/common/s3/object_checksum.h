// Checksums of an object's bytes, as S3 is told them, and whether its answer confirms them. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "common/http/curl_client.h"
#include "common/s3/object_store.h"
#include "common/s3/s3_terms.h"

namespace sluice {

using Md5 = std::array<std::uint8_t, 16>;

// Not for security: S3 defines the ETag of a plain object as its MD5. Nothing where OpenSSL has
// none (a FIPS build).
std::optional<Md5> md5_of(const ObjectBody& body);
std::uint32_t crc32c_of(const ObjectBody& body);

std::string base64(std::span<const std::uint8_t> bytes);

// "CRC32C" or "SHA256"; empty for those that S3 does not keep with the object.
std::string_view algorithm_name(S3Checksum checksum);

// The checksum of one body.
struct ContentChecksum {
  S3Checksum kind = S3Checksum::none;
  std::string text = {};        // base64; empty: none
  std::optional<Md5> md5 = {};  // of kind md5
};
// `sha256` is the body's, for the kind that needs it: nothing is hashed twice.
ContentChecksum checksum_of(const ObjectBody& body, S3Checksum kind, const Sha256& sha256);

// What to send with that body.
HttpHeaders checksum_headers(const ContentChecksum& checksum);

// The checksum of the store's answer to it; empty where there is none.
std::string_view confirmed_checksum(const HttpResponse& response, S3Checksum kind);

// The checksum that S3 gives a whole made of parts: of the parts' checksums (base64), and how many.
// Empty where one of them is missing.
std::string composite_checksum(std::span<const UploadedPart> parts, S3Checksum kind);

// What is wrong with a success: another checksum, another ETag, none at all. Where the answer does
// not confirm the checksum the MD5 of the body is compared with the ETag, if that is one.
std::optional<StoreError> content_mismatch(const HttpResponse& response, const ObjectBody& body,
                                           const ContentChecksum& checksum, bool etag_is_opaque);

}  // namespace sluice
