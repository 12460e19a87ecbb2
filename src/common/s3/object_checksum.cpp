#include "common/s3/object_checksum.h"

#include <openssl/evp.h>

#include <algorithm>

#include "common/base/check.h"
#include "common/base/crc32c.h"
#include "common/s3/s3_answers.h"
#include "common/s3/sigv4.h"

namespace sluice {
namespace {

std::array<std::uint8_t, 4> big_endian(std::uint32_t value) {
  return {static_cast<std::uint8_t>(value >> 24U), static_cast<std::uint8_t>(value >> 16U),
          static_cast<std::uint8_t>(value >> 8U), static_cast<std::uint8_t>(value)};
}

std::string header_name(S3Checksum kind) {
  return kind == S3Checksum::crc32c ? "x-amz-checksum-crc32c" : "x-amz-checksum-sha256";
}

// The bytes of `text`; nothing where it is no base64 of `bytes` bytes.
std::optional<std::string> base64_decode(const std::string& text, std::size_t bytes) {
  std::string decoded(text.size(), '\0');
  const int written = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(decoded.data()),
                                      reinterpret_cast<const unsigned char*>(text.data()),
                                      static_cast<int>(text.size()));
  // The padding counts as bytes there.
  if (written < static_cast<int>(bytes) || written > static_cast<int>(bytes) + 2) {
    return std::nullopt;
  }
  decoded.resize(bytes);
  return decoded;
}

}  // namespace

std::optional<Md5> md5_of(const ObjectBody& body) {
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(),
                                                                   EVP_MD_CTX_free);
  if (context == nullptr || EVP_DigestInit_ex(context.get(), EVP_md5(), nullptr) != 1) {
    return std::nullopt;
  }
  for (const ObjectBody::Span& span : body.spans()) {
    CHECK_THAT(EVP_DigestUpdate(context.get(), span.bytes.data(), span.bytes.size()) == 1);
  }
  Md5 digest{};
  CHECK_THAT(EVP_DigestFinal_ex(context.get(), digest.data(), nullptr) == 1);
  return digest;
}

std::uint32_t crc32c_of(const ObjectBody& body) {
  std::uint32_t crc = 0;
  for (const ObjectBody::Span& span : body.spans()) {
    crc = crc32c(span.bytes, crc);
  }
  return crc;
}

std::string base64(std::span<const std::uint8_t> bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
  const int written = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), bytes.data(),
                                      static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(written));
  return text;
}

std::string_view algorithm_name(S3Checksum checksum) {
  return checksum == S3Checksum::crc32c ? "CRC32C" : checksum == S3Checksum::sha256 ? "SHA256" : "";
}

ContentChecksum checksum_of(const ObjectBody& body, S3Checksum kind, const Sha256& sha256) {
  ContentChecksum checksum{.kind = kind};
  switch (kind) {
    case S3Checksum::none:
      break;
    case S3Checksum::crc32c:
      checksum.text = base64(big_endian(crc32c_of(body)));
      break;
    case S3Checksum::sha256:
      checksum.text = base64(sha256);
      break;
    case S3Checksum::md5:
      checksum.md5 = md5_of(body);
      checksum.text = checksum.md5 ? base64(*checksum.md5) : std::string();
      break;
  }
  return checksum;
}

HttpHeaders checksum_headers(const ContentChecksum& checksum) {
  if (checksum.text.empty()) {
    return {};
  }
  if (checksum.kind == S3Checksum::md5) {
    return {{"content-md5", checksum.text}};
  }
  return {{header_name(checksum.kind), checksum.text},
          {"x-amz-sdk-checksum-algorithm", std::string(algorithm_name(checksum.kind))}};
}

std::string_view confirmed_checksum(const HttpResponse& response, S3Checksum kind) {
  return algorithm_name(kind).empty() ? std::string_view() : response.header(header_name(kind));
}

std::string composite_checksum(std::span<const UploadedPart> parts, S3Checksum kind) {
  if (algorithm_name(kind).empty()) {
    return {};
  }
  ObjectBody whole;
  for (const UploadedPart& part : parts) {
    const auto decoded = base64_decode(part.checksum, kind == S3Checksum::crc32c ? 4 : 32);
    if (!decoded) {
      return {};
    }
    const auto owner = std::make_shared<std::string>(*decoded);
    whole.append(std::as_bytes(std::span(*owner)), owner);
  }
  const bool is_sha256 = kind == S3Checksum::sha256;
  return checksum_of(whole, kind, is_sha256 ? sha256_of(whole) : Sha256{}).text + "-" +
         std::to_string(parts.size());
}

std::optional<StoreError> content_mismatch(const HttpResponse& response, const ObjectBody& body,
                                           const ContentChecksum& checksum, bool etag_is_opaque) {
  const std::string_view etag = response.header("etag");
  if (etag.empty()) {
    return unexpected_answer(response, "no ETag in the answer");
  }
  const std::string_view confirmed = confirmed_checksum(response, checksum.kind);
  if (!confirmed.empty()) {
    if (confirmed == checksum.text) {
      return std::nullopt;
    }
    StoreError error = unexpected_answer(response, "the store confirmed another " +
                                                       std::string(algorithm_name(checksum.kind)) +
                                                       " than " + checksum.text);
    error.code = "ChecksumMismatch";
    return error;
  }
  if (checksum.kind == S3Checksum::none || etag_is_opaque || !etag_is_md5(response)) {
    return std::nullopt;
  }
  const std::optional<Md5> ours = checksum.md5 ? checksum.md5 : md5_of(body);
  if (ours && unquoted(etag) != sigv4::hex(*ours)) {
    StoreError error = unexpected_answer(
        response, "the store confirmed another checksum (ETag) than " + sigv4::hex(*ours));
    error.code = "EtagMismatch";
    return error;
  }
  return std::nullopt;
}

}  // namespace sluice
