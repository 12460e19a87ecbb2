#include "common/net/tls_names.h"

#include <openssl/crypto.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <memory>

namespace sluice {
namespace {

constexpr int kNamesMax = 256;

bool is_printable(char c) { return c >= 0x20 && c < 0x7F; }

bool is_usable(std::string_view name) {
  return !name.empty() && name.size() <= kTlsNameBytesMax &&
         std::all_of(name.begin(), name.end(), is_printable);
}

void add_name(CertificateNames& found, CertificateName::Kind kind, std::string_view text) {
  if (is_usable(text)) {
    found.names.push_back({kind, std::string(text)});
  }
}

std::string_view bytes_of(const ASN1_STRING* text) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
          static_cast<std::size_t>(ASN1_STRING_length(text))};
}

void add_alternative_name(CertificateNames& found, const GENERAL_NAME& name) {
  switch (name.type) {
    case GEN_DNS:
      return add_name(found, CertificateName::Kind::dns, bytes_of(name.d.dNSName));
    case GEN_URI:
      return add_name(found, CertificateName::Kind::uri,
                      bytes_of(name.d.uniformResourceIdentifier));
    case GEN_EMAIL:
      return add_name(found, CertificateName::Kind::email, bytes_of(name.d.rfc822Name));
    default:
      return;
  }
}

void add_common_name(CertificateNames& found, const X509* certificate) {
  const X509_NAME* subject = X509_get_subject_name(certificate);
  int last = -1;
  for (int at = -1; (at = X509_NAME_get_index_by_NID(subject, NID_commonName, at)) >= 0;) {
    last = at;
  }
  if (last < 0) {
    return;
  }
  unsigned char* utf8 = nullptr;
  const int bytes =
      ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, last)));
  if (bytes < 0) {
    return;
  }
  const std::unique_ptr<unsigned char, void (*)(unsigned char*)> owned(
      utf8, [](unsigned char* text) { OPENSSL_free(text); });
  add_name(found, CertificateName::Kind::common_name,
           {reinterpret_cast<const char*>(utf8), static_cast<std::size_t>(bytes)});
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool equal(std::string_view a, std::string_view b, bool any_case) {
  return any_case ? std::equal(a.begin(), a.end(), b.begin(), b.end(),
                               [](char x, char y) { return lower(x) == lower(y); })
                  : a == b;
}

bool names(std::string_view entry, const CertificateName& name) {
  const bool any_case = name.kind == CertificateName::Kind::dns;
  if (equal(entry, name.text, any_case)) {
    return true;
  }
  const bool is_host =
      name.kind == CertificateName::Kind::dns || name.kind == CertificateName::Kind::common_name;
  if (!is_host || !entry.starts_with("*.")) {
    return false;
  }
  const std::size_t dot = name.text.find('.');
  return dot != std::string::npos && dot > 0 &&
         equal(entry.substr(1), std::string_view(name.text).substr(dot), any_case);
}

}  // namespace

CertificateNames names_of(const X509* certificate) {
  CertificateNames found;
  int critical = 0;
  const std::unique_ptr<GENERAL_NAMES, void (*)(GENERAL_NAMES*)> alternative(
      static_cast<GENERAL_NAMES*>(
          X509_get_ext_d2i(certificate, NID_subject_alt_name, &critical, nullptr)),
      &GENERAL_NAMES_free);
  found.alternative = critical != -1;  // -1: there is none; others: one, or one that is malformed
  const int count = alternative ? std::min(sk_GENERAL_NAME_num(alternative.get()), kNamesMax) : 0;
  for (int i = 0; i < count; ++i) {
    add_alternative_name(found, *sk_GENERAL_NAME_value(alternative.get(), i));
  }
  add_common_name(found, certificate);
  return found;
}

std::string quoted_peer_text(std::string_view text) {
  constexpr std::size_t kShownBytesMax = 64;
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string quoted = "\"";
  for (const char c : text.substr(0, kShownBytesMax)) {
    if (!is_printable(c)) {
      const auto byte = static_cast<unsigned char>(c);
      quoted += {'\\', 'x', kHex[byte >> 4], kHex[byte & 0xF]};
      continue;
    }
    if (c == '"' || c == '\\') {
      quoted += '\\';
    }
    quoted += c;
  }
  quoted += text.size() > kShownBytesMax ? "...\"" : "\"";
  return quoted;
}

Result<AllowedNames> AllowedNames::parse(std::vector<std::string> entries) {
  for (const std::string& entry : entries) {
    const std::string_view domain = std::string_view(entry).substr(entry.starts_with("*.") ? 2 : 0);
    if (!is_usable(entry) || domain.empty()) {
      return fatal("the allowed client name " + quoted_peer_text(entry) +
                   " is no name: 1 to 255 characters of printable ASCII");
    }
    if (domain.find('*') != std::string_view::npos) {
      return fatal("the allowed client name " + quoted_peer_text(entry) +
                   " has a * that is not its first label: write it like *.example.com");
    }
  }
  AllowedNames allowed;
  allowed.entries_ = std::move(entries);
  return allowed;
}

std::optional<std::string> AllowedNames::admit(const CertificateNames& certificate) const {
  const auto& all = certificate.names;
  if (entries_.empty()) {
    for (const auto kind : {CertificateName::Kind::dns, CertificateName::Kind::common_name}) {
      const auto first =
          std::find_if(all.begin(), all.end(), [&](const auto& name) { return name.kind == kind; });
      if (first != all.end()) {
        return first->text;
      }
    }
    return all.empty() ? std::string() : all.front().text;
  }
  for (const CertificateName& name : all) {
    if (name.kind == CertificateName::Kind::common_name && certificate.alternative) {
      continue;
    }
    if (std::any_of(entries_.begin(), entries_.end(),
                    [&](const std::string& entry) { return names(entry, name); })) {
      return name.text;
    }
  }
  return std::nullopt;
}

}  // namespace sluice
