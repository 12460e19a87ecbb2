#include "common/s3/object_store.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cstring>

#include "common/base/check.h"

namespace sluice {

std::string_view to_string(StoreErrorKind kind) {
  switch (kind) {
    case StoreErrorKind::retry:
      return "retry";
    case StoreErrorKind::refresh_credentials:
      return "refresh_credentials";
    case StoreErrorKind::clock_skew:
      return "clock_skew";
    case StoreErrorKind::configuration:
      return "configuration";
    case StoreErrorKind::this_object:
      return "this_object";
    case StoreErrorKind::exists:
      return "exists";
    case StoreErrorKind::conflict:
      return "conflict";
    case StoreErrorKind::upload_lost:
      return "upload_lost";
  }
  return "unknown";
}

bool confirmed_other_bytes(const StoreError& error) {
  return error.code == "EtagMismatch" || error.code == "ChecksumMismatch";
}

std::string_view metadata_value(const ObjectMetadata& metadata, std::string_view name) {
  for (const auto& [key, value] : metadata) {
    if (key == name) {
      return value;
    }
  }
  return {};
}

std::string describe(const StoreError& error) {
  std::string text = error.code.empty() ? std::string(to_string(error.kind)) : error.code;
  if (error.http_status != 0) {
    text += " (HTTP " + std::to_string(error.http_status) + ")";
  }
  if (!error.message.empty()) {
    text += ": " + error.message;
  }
  text += text.ends_with('.') ? "" : ".";
  if (!error.advice.empty()) {
    text += " " + error.advice;
  }
  return text;
}

void ObjectBody::append(std::span<const std::byte> bytes, std::shared_ptr<const void> owner) {
  if (bytes.empty()) {
    return;
  }
  bytes_ += bytes.size();
  spans_.push_back({bytes, std::move(owner)});
}

std::size_t ObjectBody::read(std::uint64_t begin, std::span<std::byte> into) const {
  std::size_t copied = 0;
  for (const Span& span : spans_) {
    if (copied == into.size()) {
      break;
    }
    if (begin >= span.bytes.size()) {
      begin -= span.bytes.size();
      continue;
    }
    const std::size_t count =
        std::min(into.size() - copied, static_cast<std::size_t>(span.bytes.size() - begin));
    std::memcpy(into.data() + copied, span.bytes.data() + begin, count);
    copied += count;
    begin = 0;
  }
  return copied;
}

Sha256 sha256_of(const ObjectBody& body) {
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(),
                                                                   EVP_MD_CTX_free);
  CHECK_THAT(context != nullptr && EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1);
  for (const ObjectBody::Span& span : body.spans()) {
    CHECK_THAT(EVP_DigestUpdate(context.get(), span.bytes.data(), span.bytes.size()) == 1);
  }
  Sha256 digest{};
  CHECK_THAT(EVP_DigestFinal_ex(context.get(), digest.data(), nullptr) == 1);
  return digest;
}

}  // namespace sluice
