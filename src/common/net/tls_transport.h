// TlsTransport: a socket as OpenSSL's source and sink. Unlike OpenSSL's own it never raises SIGPIPE
// and bounds what one call may receive.
#pragma once

#include <openssl/types.h>

#include <cstddef>
#include <optional>

namespace sluice {

struct TlsTransport {
  int fd = -1;  // somebody else's
  std::optional<unsigned char> first_byte;
  std::size_t budget_bytes = 0;  // may still be received; at 0 it looks as if nothing were there
  bool received_fin = false;
  int fault = 0;  // errno of what failed last
};

// Reads and writes through `transport`, which outlives it. nullptr: no memory.
BIO* new_bio(TlsTransport& transport);

}  // namespace sluice
