// Why a TLS session failed, in words for the log.
#pragma once

#include <openssl/types.h>

#include <optional>
#include <string>

#include "common/net/tls_context.h"

namespace sluice {

// The first byte of a TLS client: the type of a record that holds its hello (RFC 8446, 5.1).
inline constexpr unsigned char kTlsHandshakeByte = 0x16;

// Empties this thread's queue of OpenSSL errors: the first one of TLS itself in it (below it may
// lie those of ciphers, which say less), else the first, else 0.
unsigned long take_openssl_error();

// Of a handshake; `first_byte` is the first that the client sent.
std::string handshake_reason(const SSL* session, unsigned long error, const TlsClient& client,
                             std::optional<unsigned char> first_byte);
// Of an established session.
std::string record_reason(unsigned long error);

}  // namespace sluice
