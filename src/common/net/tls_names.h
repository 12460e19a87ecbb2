// The names in a client's certificate, and which of them a listener lets in.
#pragma once

#include <openssl/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace sluice {

inline constexpr std::size_t kTlsNameBytesMax = 255;

struct CertificateName {
  enum class Kind : std::uint8_t { dns, uri, email, common_name };
  Kind kind = Kind::dns;
  std::string text;  // printable ASCII, 1 to kTlsNameBytesMax bytes
};

// The names of a certificate that can be used: of its subjectAltName (RFC 5280, 4.2.1.6) the
// dNSName, URI and rfc822Name entries, then the last (most specific) CN of its subject. What is
// not printable ASCII or too long is left out; of a certificate with hundreds of names, the first
// 256 are looked at.
struct CertificateNames {
  std::vector<CertificateName> names;  // in the certificate's order, the CN last
  bool alternative = false;            // there is a subjectAltName, of whatever content
};
CertificateNames names_of(const X509* certificate);

// `text` between quotes, its first 64 bytes; what is not printable ASCII as \x1f.
std::string quoted_peer_text(std::string_view text);

// Who may come in. Immutable.
class AllowedNames {
 public:
  // Each entry is a name, or "*." and a domain: one label below that, never more, never the domain
  // itself. None: whoever has a certificate. The error (fatal) quotes the entry.
  static Result<AllowedNames> parse(std::vector<std::string> entries);

  // The certificate's name by which it may come in; nothing where it may not.
  // With entries: the first name that one of them names. The CN counts only where there is no
  // subjectAltName. dNSName is compared without regard to case, the others byte for byte; a
  // wildcard entry is for dNSName and CN; a wildcard in the certificate is a plain name.
  // Without entries: the first dNSName, else the CN, else the first other name, else "".
  [[nodiscard]] std::optional<std::string> admit(const CertificateNames& certificate) const;

 private:
  std::vector<std::string> entries_;
};

}  // namespace sluice
