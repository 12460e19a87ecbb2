#include "common/s3/s3_headers.h"

#include <algorithm>
#include <span>

#include "common/s3/object_checksum.h"
#include "common/s3/sigv4.h"

namespace sluice {
namespace {

constexpr std::string_view kEncryption = "x-amz-server-side-encryption";

void append(HttpHeaders& headers, std::string_view name, std::string_view value) {
  if (!value.empty()) {
    headers.emplace_back(name, value);
  }
}

std::string_view encryption_name(S3Encryption encryption) {
  switch (encryption) {
    case S3Encryption::none:
      break;
    case S3Encryption::aes256:
      return "AES256";
    case S3Encryption::kms:
      return "aws:kms";
    case S3Encryption::kms_dsse:
      return "aws:kms:dsse";
  }
  return "";
}

}  // namespace

HttpHeaders object_headers(const ObjectName& name, const S3Terms& terms) {
  HttpHeaders headers;
  headers.emplace_back("content-type", name.content_type);
  for (const auto& [key, value] : name.metadata) {
    headers.emplace_back(std::string(kMetadataPrefix) + key, value);
  }
  append(headers, kEncryption, encryption_name(terms.encryption));
  if (terms.encrypts_by_kms()) {
    const std::string prefix(kEncryption);
    append(headers, prefix + "-aws-kms-key-id", terms.kms_key_id);
    const auto* context = reinterpret_cast<const std::uint8_t*>(terms.kms_context.data());
    append(headers, prefix + "-context", base64({context, terms.kms_context.size()}));
    append(headers, prefix + "-bucket-key-enabled", terms.bucket_key ? "true" : "");
  }
  append(headers, "x-amz-storage-class", terms.storage_class);
  append(headers, "x-amz-acl", terms.acl);
  append(headers, "x-amz-tagging", encoded_tags(terms.tags));
  return headers;
}

HttpHeaders request_headers(const S3Terms& terms) {
  HttpHeaders headers;
  append(headers, "x-amz-expected-bucket-owner", terms.expected_bucket_owner);
  append(headers, "x-amz-request-payer", terms.request_payer);
  return headers;
}

std::string encoded_tags(std::string_view tags) {
  std::string encoded;
  while (!tags.empty()) {
    const std::string_view tag = tags.substr(0, tags.find('&'));
    const std::size_t equals = std::min(tag.find('='), tag.size());
    encoded += (encoded.empty() ? "" : "&") + sigv4::uri_encode(tag.substr(0, equals), false) +
               "=" + sigv4::uri_encode(tag.substr(std::min(equals + 1, tag.size())), false);
    tags.remove_prefix(std::min(tag.size() + 1, tags.size()));
  }
  return encoded;
}

}  // namespace sluice
