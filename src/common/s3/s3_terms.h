// The terms on which objects are stored in S3, as the settings name them.
#pragma once

#include <cstdint>
#include <string>

namespace sluice {

// What goes along with every body, for the store to verify and to confirm
// (docs/decisions/checksum-confirmed-by-the-answer.md).
enum class S3Checksum : std::uint8_t { none, crc32c, sha256, md5 };

enum class S3Encryption : std::uint8_t { none, aes256, kms, kms_dsse };

struct S3Terms {
  S3Checksum checksum = S3Checksum::crc32c;

  // Of each object: sent with PUT and CreateMultipartUpload, nowhere else. Empty: not sent.
  S3Encryption encryption = S3Encryption::none;
  std::string kms_key_id = {};
  std::string kms_context = {};  // a JSON object
  bool bucket_key = false;
  std::string storage_class = {};
  std::string acl = {};
  std::string tags = {};  // "key=value&key=value", not encoded

  // Of every request. Empty: not sent.
  std::string expected_bucket_owner = {};
  std::string request_payer = {};

  // With a KMS key the ETag is no MD5, whether the answer says so or not.
  [[nodiscard]] bool encrypts_by_kms() const {
    return encryption == S3Encryption::kms || encryption == S3Encryption::kms_dsse;
  }
};

}  // namespace sluice
