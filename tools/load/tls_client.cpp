#include "tls_client.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

namespace sluice::load {

void FreeSession::operator()(SSL* session) const { SSL_free(session); }

void TlsClient::FreeContext::operator()(SSL_CTX* context) const { SSL_CTX_free(context); }

std::string take_tls_error() {
  const char* text = nullptr;
  int flags = 0;
  const unsigned long code = ERR_get_error_all(nullptr, nullptr, nullptr, &text, &flags);
  const char* reason = ERR_reason_error_string(code);
  std::string error = reason == nullptr ? "unknown error" : reason;
  if ((flags & ERR_TXT_STRING) != 0 && text != nullptr && *text != '\0') {
    error.append(" (").append(text).append(")");
  }
  ERR_clear_error();
  return error;
}

Result<TlsClient> TlsClient::load(const Options& options) {
  TlsClient client;
  client.host_ = options.host;
  client.context_.reset(SSL_CTX_new(TLS_client_method()));
  SSL_CTX* context = client.context_.get();
  if (context == nullptr) {
    return fatal("TLS: " + take_tls_error());
  }
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  // A write takes what the socket takes, as send() does; send buffers may move in between.
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  const bool trusts = options.tls_ca.empty()
                          ? SSL_CTX_set_default_verify_paths(context) == 1
                          : SSL_CTX_load_verify_file(context, options.tls_ca.c_str()) == 1;
  if (!trusts) {
    return fatal("--tls-ca " + options.tls_ca + ": " + take_tls_error());
  }
  if (!options.tls_cert.empty()) {
    if (SSL_CTX_use_certificate_chain_file(context, options.tls_cert.c_str()) != 1) {
      return fatal("--tls-cert " + options.tls_cert + ": " + take_tls_error());
    }
    if (SSL_CTX_use_PrivateKey_file(context, options.tls_key.c_str(), SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(context) != 1) {
      return fatal("--tls-key " + options.tls_key + ": " + take_tls_error());
    }
  }
  return client;
}

TlsSessionPtr TlsClient::new_session(int fd) const {
  TlsSessionPtr session(SSL_new(context_.get()));
  if (session == nullptr || SSL_set_fd(session.get(), fd) != 1) {
    return nullptr;
  }
  X509_VERIFY_PARAM* parameters = SSL_get0_param(session.get());
  if (X509_VERIFY_PARAM_set1_ip_asc(parameters, host_.c_str()) != 1) {  // it is a name
    ERR_clear_error();
    if (SSL_set1_host(session.get(), host_.c_str()) != 1 ||
        SSL_set_tlsext_host_name(session.get(), host_.c_str()) != 1) {
      return nullptr;
    }
  }
  SSL_set_connect_state(session.get());
  return session;
}

}  // namespace sluice::load
