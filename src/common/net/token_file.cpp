#include "common/net/token_file.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>

#include "common/base/check.h"
#include "common/platform/linked_file.h"

namespace sluice {
namespace {

constexpr std::uint64_t kFileBytesMax = kMiB;  // tokens and what is said about them
constexpr std::string_view kSpace = " \t\r\f\v";

std::array<std::uint8_t, 32> sha256(std::string_view text) {
  std::array<std::uint8_t, 32> digest{};
  CHECK_THAT(EVP_Digest(text.data(), text.size(), digest.data(), nullptr, EVP_sha256(), nullptr) ==
             1);
  return digest;
}

// What the file says and how it may be read are of one open file: a swap between the two looks is
// none.
Result<std::string> read_secret(Filesystem& filesystem, const Path& path) {
  const auto file = open_linked_file(filesystem, path);
  if (!file) {
    return file.error();
  }
  const auto info = (*file)->info();
  if (!info) {
    return info.error();
  }
  const std::string name = path.string();
  if (info->type != FileType::regular) {
    return fatal("token file " + name + " is no regular file");
  }
  if ((info->mode & 0007U) != 0) {
    return fatal("token file " + name + " is open to everybody: chmod o= it");
  }
  if (info->bytes > kFileBytesMax) {
    return fatal("token file " + name + " is longer than 1 MiB");
  }
  std::string text(info->bytes, '\0');
  const auto got = (*file)->pread(std::as_writable_bytes(std::span(text)), 0);
  if (!got) {
    return got.error();
  }
  text.resize(*got);
  return text;
}

}  // namespace

Status TokenFile::take_line(std::string_view line, const std::string& where) {
  line = line.substr(0, line.find_last_not_of(kSpace) + 1);  // none but spaces: npos + 1 is 0
  if (line.empty() || line.front() == '#') {
    return {};
  }
  if (line.size() < kTokenBytesMin || line.size() > kTokenBytesMax) {
    return fatal(where + ": a token has " + std::to_string(kTokenBytesMin) + " to " +
                 std::to_string(kTokenBytesMax) + " bytes (openssl rand -hex 32 makes one)");
  }
  if (digests_.size() == kTokensMax) {
    return fatal(where + ": more than " + std::to_string(kTokensMax) + " tokens");
  }
  digests_.push_back(sha256(line));
  return {};
}

Result<TokenFile> TokenFile::read(Filesystem& filesystem, const Path& path) {
  auto text = read_secret(filesystem, path);
  if (!text) {
    return text.error();
  }
  TokenFile file;
  Status status;
  std::string_view left = *text;
  for (int number = 1; status && !left.empty(); ++number) {
    const std::size_t end = std::min(left.find('\n'), left.size());
    status = file.take_line(left.substr(0, end),
                            "token file " + path.string() + ", line " + std::to_string(number));
    left.remove_prefix(std::min(end + 1, left.size()));
  }
  OPENSSL_cleanse(text->data(), text->size());
  if (!status) {
    return status.error();
  }
  if (file.digests_.empty()) {
    return fatal("token file " + path.string() + " has no token: nobody could come");
  }
  return file;
}

bool TokenFile::matches(std::string_view token) const {
  const Digest digest = sha256(token);
  unsigned found = 0;
  for (const Digest& known : digests_) {
    found |= static_cast<unsigned>(CRYPTO_memcmp(digest.data(), known.data(), digest.size()) == 0);
  }
  return found != 0;
}

std::optional<std::string> parse_token_line(std::string_view line) {
  if (line.size() > kTokenLineBytesMax) {
    return std::nullopt;
  }
  // An object that has a key twice shows only one of them in the end.
  std::size_t keys = 0;
  const auto count_keys = [&keys](int, nlohmann::json::parse_event_t event, nlohmann::json&) {
    keys += event == nlohmann::json::parse_event_t::key ? 1 : 0;
    return true;
  };
  const auto parsed = nlohmann::json::parse(line, count_keys, /*allow_exceptions=*/false);
  if (!parsed.is_object() || keys != 1) {
    return std::nullopt;
  }
  const auto token = parsed.find("token");
  if (token == parsed.end() || !token->is_string()) {
    return std::nullopt;
  }
  return token->get<std::string>();
}

}  // namespace sluice
