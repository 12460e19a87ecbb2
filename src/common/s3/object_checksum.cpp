#include "common/s3/object_checksum.h"

#include <openssl/evp.h>

#include "common/base/check.h"

namespace sluice {

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

}  // namespace sluice
