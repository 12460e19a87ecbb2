#include "common/net/tls_context.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <new>
#include <optional>

#include "common/base/check.h"
#include "common/base/utc_text.h"
#include "common/platform/linked_file.h"

namespace sluice {
namespace {

constexpr std::uint64_t kPemBytesMax = kMiB;
// ECDHE with an AEAD; the suites of TLS 1.3 are all of that kind.
constexpr const char* kTls12Ciphers = "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL:!PSK";
constexpr int kSecurityLevel = 2;  // keys of 112 bits of strength and more, no SHA-1 signatures

using X509Ptr = std::unique_ptr<X509, decltype(&X509_free)>;
using KeyPtr = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using BioPtr = std::unique_ptr<BIO, decltype(&BIO_free)>;

// The first error that OpenSSL put on this thread's queue, in its words.
std::string openssl_reason() {
  const char* reason = ERR_reason_error_string(ERR_peek_error());
  return reason == nullptr ? "no reason given" : reason;
}

Result<std::string> read_pem(Filesystem& filesystem, const Path& path) {
  auto text = read_linked_file(filesystem, path, kPemBytesMax);
  if (text) {
    return text;
  }
  Error error = text.error();
  if (error.code == EACCES || error.code == EPERM) {
    error.message += " (let the user that Sluice runs as read it)";
  }
  if (error.message.find(path.string()) == std::string::npos) {
    error.message = path.string() + ": " + error.message;  // it was a link
  }
  return error;
}

BioPtr reader_of(const std::string& text) {
  BioPtr bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), &BIO_free);
  if (!bio) {
    throw std::bad_alloc();
  }
  return bio;
}

// All certificates of a PEM text, at least one; other blocks (a key) are passed over.
Result<std::vector<X509Ptr>> parse_certificates(const std::string& text, const Path& path) {
  const BioPtr bio = reader_of(text);
  std::vector<X509Ptr> certificates;
  ERR_clear_error();
  while (X509* one = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    certificates.emplace_back(one, &X509_free);
  }
  const unsigned long end = ERR_peek_last_error();
  const bool at_end = ERR_GET_LIB(end) == ERR_LIB_PEM && ERR_GET_REASON(end) == PEM_R_NO_START_LINE;
  const std::string reason = openssl_reason();
  ERR_clear_error();
  if (!at_end) {
    return fatal(path.string() + ": certificate " + std::to_string(certificates.size() + 1) +
                 " in it is damaged (" + reason + ")");
  }
  if (certificates.empty()) {
    return fatal(path.string() +
                 ": no certificate in it: it must be PEM, with -----BEGIN CERTIFICATE-----");
  }
  return certificates;
}

int refuse_passphrase(char* /*into*/, int /*size*/, int /*writing*/, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

Result<KeyPtr> parse_key(const std::string& text, const Path& path) {
  const BioPtr bio = reader_of(text);
  bool asked = false;
  ERR_clear_error();
  KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, &refuse_passphrase, &asked),
             &EVP_PKEY_free);
  ERR_clear_error();
  if (key) {
    return key;
  }
  if (asked) {
    return fatal(path.string() +
                 ": the key is encrypted, and nobody is there to type its passphrase: store it "
                 "without (openssl pkey -in FILE -out FILE), readable only to Sluice");
  }
  return fatal(path.string() +
               ": no private key in it: it must be PEM, with -----BEGIN PRIVATE KEY-----");
}

std::optional<WallTime> wall_time_of(const ASN1_TIME* time) {
  std::tm utc{};
  if (ASN1_TIME_to_tm(time, &utc) != 1) {
    return std::nullopt;
  }
  return sluice::wall_time_of(::timegm(&utc));
}

// When it ends, provided that it is valid at `now`.
Result<WallTime> end_of(const X509* certificate, const Path& path, WallTime now) {
  const auto begin = wall_time_of(X509_get0_notBefore(certificate));
  const auto end = wall_time_of(X509_get0_notAfter(certificate));
  if (!begin || !end) {
    return fatal(path.string() + ": the certificate's dates are malformed");
  }
  if (now >= *end) {
    return fatal(path.string() + ": the certificate expired at " + utc_seconds(*end) +
                 ": have it renewed");
  }
  if (now < *begin) {
    return fatal(path.string() + ": the certificate is valid only from " + utc_seconds(*begin) +
                 " on, and it is " + utc_seconds(now) + ": is the clock right?");
  }
  return *end;
}

// What does not depend on files. What openssl.cnf may have set is set back.
void restrict_protocol(SSL_CTX* context) {
  SSL_CTX_set_security_level(context, kSecurityLevel);
  CHECK_THAT(SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1);
  CHECK_THAT(SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1);
  CHECK_THAT(SSL_CTX_set_cipher_list(context, kTls12Ciphers) == 1);
  SSL_CTX_clear_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_ALLOW_CLIENT_RENEGOTIATION |
                                     SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION | SSL_OP_NO_TLSv1_2 |
                                     SSL_OP_NO_TLSv1_3);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET |
                                   SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  CHECK_THAT(SSL_CTX_set_num_tickets(context, 0) == 1);
  CHECK_THAT(SSL_CTX_set_max_early_data(context, 0) == 1);
  CHECK_THAT(SSL_CTX_set_recv_max_early_data(context, 0) == 1);
  // Without NO_AUTO_CHAIN the authorities of clients would be sent along as our own chain.
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN |
                                SSL_MODE_AUTO_RETRY);
  SSL_CTX_set_read_ahead(context, 1);  // one recv for a record, not one for its header first
}

}  // namespace

void TlsContext::Free::operator()(SSL_CTX* context) const { SSL_CTX_free(context); }

Result<std::shared_ptr<const TlsContext>> TlsContext::load(Filesystem& filesystem,
                                                           const Options& options, WallTime now) {
  ERR_clear_error();
  const std::shared_ptr<TlsContext> loaded(new TlsContext());
  loaded->context_.reset(SSL_CTX_new(TLS_server_method()));
  if (!loaded->context_) {
    return fatal("TLS: OpenSSL cannot be set up: " + openssl_reason());
  }
  restrict_protocol(loaded->context_.get());
  if (Status status = loaded->use_certificate(filesystem, options, now); !status) {
    return status.error();
  }
  if (Status status = loaded->use_authorities(filesystem, options); !status) {
    return status.error();
  }
  return std::shared_ptr<const TlsContext>(loaded);
}

Status TlsContext::use_certificate(Filesystem& filesystem, const Options& options, WallTime now) {
  SSL_CTX* context = context_.get();
  const std::string path = options.cert_path.string();
  const auto cert_text = read_pem(filesystem, options.cert_path);
  if (!cert_text) {
    return cert_text.error();
  }
  const auto chain = parse_certificates(*cert_text, options.cert_path);
  if (!chain) {
    return chain.error();
  }
  auto key_text = read_pem(filesystem, options.key_path);
  if (!key_text) {
    return key_text.error();
  }
  const auto key = parse_key(*key_text, options.key_path);
  OPENSSL_cleanse(key_text->data(), key_text->size());
  if (!key) {
    return key.error();
  }
  X509* leaf = chain->front().get();
  if (X509_check_private_key(leaf, key->get()) != 1) {
    ERR_clear_error();
    return fatal(options.key_path.string() + ": the key does not match the first certificate in " +
                 path + ": take the two that were made together, the server's certificate first");
  }
  const auto end = end_of(leaf, options.cert_path, now);
  if (!end) {
    return end.error();
  }
  not_after_ = *end;
  if (SSL_CTX_use_certificate(context, leaf) != 1) {
    return fatal(path + ": the certificate cannot be used: " + openssl_reason());
  }
  for (std::size_t i = 1; i < chain->size(); ++i) {
    if (SSL_CTX_add1_chain_cert(context, (*chain)[i].get()) != 1) {
      return fatal(path + ": certificate " + std::to_string(i + 1) +
                   " in it cannot be used: " + openssl_reason());
    }
  }
  if (SSL_CTX_use_PrivateKey(context, key->get()) != 1) {
    return fatal(options.key_path.string() + ": the key cannot be used: " + openssl_reason());
  }
  return {};
}

Status TlsContext::use_authorities(Filesystem& filesystem, const Options& options) {
  auto allowed = AllowedNames::parse(options.client_names);
  if (!allowed) {
    return allowed.error();
  }
  allowed_ = std::move(*allowed);
  if (options.client_ca_path.empty()) {
    return options.client_names.empty()
               ? Status()
               : fatal(
                     "TLS: names of clients are allowed, and no file says whose certificates "
                     "are trusted: set the client CA, too");
  }
  const auto text = read_pem(filesystem, options.client_ca_path);
  if (!text) {
    return text.error();
  }
  const auto authorities = parse_certificates(*text, options.client_ca_path);
  if (!authorities) {
    return authorities.error();
  }
  SSL_CTX* context = context_.get();
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  for (const X509Ptr& authority : *authorities) {
    if (X509_STORE_add_cert(store, authority.get()) != 1 ||
        SSL_CTX_add_client_CA(context, authority.get()) != 1) {
      return fatal(options.client_ca_path.string() +
                   ": an authority in it cannot be used: " + openssl_reason());
    }
  }
  // What is in the file is trusted, an intermediate authority without its root, too.
  CHECK_THAT(X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) == 1);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_cert_verify_callback(context, &TlsContext::check_client, this);
  asks_ = true;
  return {};
}

SSL* TlsContext::new_session(TlsClient& client) const {
  SSL* session = SSL_new(context_.get());
  if (session != nullptr) {
    SSL_set_app_data(session, &client);
    SSL_set_accept_state(session);
  }
  return session;
}

// In the handshake, before the client's end of it is taken: 1 lets it in. Called from C: nothing
// may be thrown.
int TlsContext::check_client(X509_STORE_CTX* check, void* self) noexcept {
  auto* session =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(check, SSL_get_ex_data_X509_STORE_CTX_idx()));
  try {
    auto& client = *static_cast<TlsClient*>(SSL_get_app_data(session));
    const CertificateNames found = names_of(X509_STORE_CTX_get0_cert(check));
    const bool verified = X509_verify_cert(check) == 1;
    if (auto name =
            verified ? static_cast<const TlsContext*>(self)->allowed_.admit(found) : std::nullopt) {
      client.name = std::move(*name);
      return 1;
    }
    constexpr std::size_t kNamesShownMax = 3;
    for (std::size_t i = 0; i < std::min(found.names.size(), kNamesShownMax); ++i) {
      client.presented += (i == 0 ? "" : ", ") + quoted_peer_text(found.names[i].text);
    }
    if (verified) {
      client.name_refused = true;
      X509_STORE_CTX_set_error(check, X509_V_ERR_APPLICATION_VERIFICATION);
    }
  } catch (const std::bad_alloc&) {
    X509_STORE_CTX_set_error(check, X509_V_ERR_OUT_OF_MEM);
  }
  return 0;
}

}  // namespace sluice
