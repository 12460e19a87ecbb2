// Tokens by which clients without certificates are known: the file that lists them, and the first
// line in which a client says one. Tokens are in no error and no log; of the file only digests
// stay.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/base/units.h"
#include "common/platform/filesystem.h"

namespace sluice {

// Immutable and copyable, so that a reload swaps one for another.
class TokenFile {
 public:
  static constexpr std::size_t kTokenBytesMin = 16;
  static constexpr std::size_t kTokenBytesMax = kKiB;
  static constexpr std::size_t kTokensMax = 256;

  // One token a line; blank lines and those that begin with # are skipped, white space at the end
  // of a line is none of the token. Follows links, as of mounted secrets. Blocks. Errors (fatal):
  // no file, no token, one too short or too long, too many, or a file that everybody may read; they
  // name file and line and say what to do.
  static Result<TokenFile> read(Filesystem& filesystem, const Path& path);

  // In a time that depends on nothing but the length of `token` and the number of tokens. No token
  // matches a TokenFile that was not read. Thread-safe.
  [[nodiscard]] bool matches(std::string_view token) const;
  [[nodiscard]] std::size_t size() const { return digests_.size(); }

 private:
  using Digest = std::array<std::uint8_t, 32>;  // SHA-256
  Status take_line(std::string_view line, const std::string& where);

  std::vector<Digest> digests_;
};

// More than a client's first line can have: white space, and \u escapes for each byte of a token.
inline constexpr std::size_t kTokenLineBytesMax = 8 * kKiB;

// The token of the line {"token": "…"}, with or without its end of line: a JSON object (RFC 8259)
// of this one member, a string. Nothing where the line is anything else.
std::optional<std::string> parse_token_line(std::string_view line);

}  // namespace sluice
