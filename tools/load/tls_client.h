// TlsClient: the client's side of TLS for all connections of a run: which authorities and which
// name the server's certificate is checked against, and the client's own certificate. It always
// checks.
#pragma once

#include <openssl/types.h>

#include <memory>
#include <string>

#include "common/base/result.h"
#include "options.h"

namespace sluice::load {

struct FreeSession {
  void operator()(SSL* session) const;
};
using TlsSessionPtr = std::unique_ptr<SSL, FreeSession>;

class TlsClient {
 public:
  // Reads the files of --tls-ca (or the system's authorities), --tls-cert and --tls-key. Fatal:
  // says which cannot be used, and why.
  static Result<TlsClient> load(const Options& options);

  // Over a connected, or connecting, socket that outlives it. nullptr: no memory.
  [[nodiscard]] TlsSessionPtr new_session(int fd) const;

 private:
  struct FreeContext {
    void operator()(SSL_CTX* context) const;
  };
  std::unique_ptr<SSL_CTX, FreeContext> context_;
  std::string host_;
};

// What OpenSSL's error queue says first, which is the cause; empties it.
std::string take_tls_error();

}  // namespace sluice::load
