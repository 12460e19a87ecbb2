#include "common/spool/digest_builder.h"

#include <openssl/evp.h>

#include "common/base/check.h"

namespace sluice {
namespace {

std::shared_ptr<void> new_context() {
  return {EVP_MD_CTX_new(), [](void* state) { EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(state)); }};
}

EVP_MD_CTX* context(const std::shared_ptr<void>& state) {
  return static_cast<EVP_MD_CTX*>(state.get());
}

}  // namespace

DigestBuilder::DigestBuilder() : state_(new_context()) {
  CHECK_THAT(EVP_DigestInit_ex(context(state_), EVP_sha256(), nullptr) == 1);
}

void DigestBuilder::update(std::span<const std::byte> bytes) {
  CHECK_THAT(EVP_DigestUpdate(context(state_), bytes.data(), bytes.size()) == 1);
}

Digest DigestBuilder::digest() const {
  const auto copy = new_context();
  Digest digest{};
  unsigned int bytes = 0;
  CHECK_THAT(EVP_MD_CTX_copy_ex(context(copy), context(state_)) == 1);
  CHECK_THAT(EVP_DigestFinal_ex(context(copy), digest.data(), &bytes) == 1);
  CHECK_THAT(bytes == digest.size());
  return digest;
}

Digest digest_of(std::span<const std::byte> bytes) {
  DigestBuilder sha;
  sha.update(bytes);
  return sha.digest();
}

}  // namespace sluice
