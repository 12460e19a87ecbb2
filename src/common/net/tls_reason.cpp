#include "common/net/tls_reason.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

namespace sluice {
namespace {

// The first byte of no TLS, and of every text in an encoding that XML may have: printable, a line
// end, or a byte order mark.
bool begins_text(unsigned char byte) {
  return (byte >= 0x20 && byte < 0x7F) || byte == '\t' || byte == '\r' || byte == '\n' ||
         byte == 0xEF || byte == 0xFE || byte == 0xFF;
}

std::string plain_reason(unsigned long error) {
  const char* reason = ERR_reason_error_string(error);
  return std::string("TLS error: ") + (reason == nullptr ? "no reason given" : reason);
}

// An alert from the peer, by the number that it sent.
std::optional<std::string> alert_reason(unsigned long error) {
  const int alert = ERR_GET_REASON(error) - SSL_AD_REASON_OFFSET;
  if (ERR_GET_LIB(error) != ERR_LIB_SSL || alert < 0 || alert > 255) {
    return std::nullopt;
  }
  std::string reason =
      std::string("the client gave up with the alert '") + SSL_alert_desc_string_long(alert) + "'";
  switch (alert) {
    case SSL_AD_UNKNOWN_CA:
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_EXPIRED:
    case SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
      return reason + ": it does not take this server's certificate";
    default:
      return reason;
  }
}

std::string verify_reason(long verdict, const TlsClient& client) {
  if (client.name_refused) {
    return client.presented.empty()
               ? "client certificate not allowed: it has no name to compare"
               : "client certificate not allowed: none of its names is on the list: " +
                     client.presented;
  }
  const std::string names = client.presented.empty() ? "" : ", its name: " + client.presented;
  switch (verdict) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return "client certificate expired, or its authority's" + names;
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return "client certificate not valid yet, or its authority's" + names;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
      return "client certificate of an unknown authority" + names;
    default:
      return std::string("client certificate refused: ") + X509_verify_cert_error_string(verdict) +
             names;
  }
}

}  // namespace

unsigned long take_openssl_error() {
  unsigned long first = 0;
  while (const unsigned long error = ERR_get_error()) {
    if (ERR_GET_LIB(error) == ERR_LIB_SSL) {
      ERR_clear_error();
      return error;
    }
    first = first == 0 ? error : first;
  }
  return first;
}

std::string handshake_reason(const SSL* session, unsigned long error, const TlsClient& client,
                             std::optional<unsigned char> first_byte) {
  if (first_byte && *first_byte != kTlsHandshakeByte) {
    return begins_text(*first_byte) ? "the client speaks plain text to a TLS port"
                                    : "the client does not speak TLS";
  }
  if (auto alert = alert_reason(error)) {
    return *alert;
  }
  switch (ERR_GET_LIB(error) == ERR_LIB_SSL ? ERR_GET_REASON(error) : 0) {
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_UNKNOWN_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
      return "no shared protocol version: the client offers neither TLS 1.2 nor 1.3";
    case SSL_R_NO_SHARED_CIPHER:
      return "no shared cipher: of TLS 1.2 only ECDHE with AES-GCM or ChaCha20 is taken";
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
      return "client certificate missing";
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
      return verify_reason(SSL_get_verify_result(session), client);
    case SSL_R_UNEXPECTED_EOF_WHILE_READING:
      return "the client closed during the handshake";
    default:
      return plain_reason(error);
  }
}

std::string record_reason(unsigned long error) {
  if (auto alert = alert_reason(error)) {
    return *alert;
  }
  return plain_reason(error);
}

}  // namespace sluice
