// TlsContext: what a TLS listener shows and asks for: its certificate and key, the authorities of
// its clients and their allowed names. Immutable and shared by all sessions of a listener, on any
// thread; a reload loads a new one, and sessions that have begun keep theirs.
//
// TLS 1.2 with ECDHE and AEAD, and 1.3. No renegotiation, compression, early data; no resumption
// either (tickets, session cache): feeds last for days, and a resumed session would pass by an
// authority or a name that has been taken off the list since.
#pragma once

#include <openssl/types.h>

#include <memory>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/base/units.h"
#include "common/net/tls_names.h"
#include "common/platform/filesystem.h"

namespace sluice {

// What the check of a client's certificate found, of one session.
struct TlsClient {
  std::string name;       // by which it was let in; "" without a certificate
  std::string presented;  // the names of a refused one, quoted, for the log
  bool name_refused = false;
};

class TlsContext {
 public:
  struct Options {
    Path cert_path;  // PEM: the server's certificate, then those between it and its root
    Path key_path;   // PEM, without a passphrase
    Path
        client_ca_path;  // PEM, each a trusted authority; empty: no client certificate is asked for
    std::vector<std::string> client_names;  // AllowedNames; needs client_ca_path
  };

  TlsContext(const TlsContext&) = delete;  // OpenSSL knows its address
  TlsContext& operator=(const TlsContext&) = delete;

  // Blocks on the disk; follows links. `now` is for the certificate's dates. Errors are fatal, name
  // the file and what to do: unreadable, not PEM, encrypted, expired, a key of another certificate.
  static Result<std::shared_ptr<const TlsContext>> load(Filesystem& filesystem,
                                                        const Options& options, WallTime now);

  // When the server's own certificate ends.
  [[nodiscard]] WallTime not_after() const { return not_after_; }
  [[nodiscard]] bool asks_for_client_certificate() const { return asks_; }

  // A server's session without a transport. With client_ca_path its handshake succeeds only with a
  // certificate that verifies and a name that is allowed; `client` says which, and must outlive the
  // session. nullptr: no memory.
  SSL* new_session(TlsClient& client) const;

 private:
  struct Free {
    void operator()(SSL_CTX* context) const;
  };

  TlsContext() = default;
  static int check_client(X509_STORE_CTX* check, void* self) noexcept;
  Status use_certificate(Filesystem& filesystem, const Options& options, WallTime now);
  Status use_authorities(Filesystem& filesystem, const Options& options);

  std::unique_ptr<SSL_CTX, Free> context_;
  AllowedNames allowed_;
  WallTime not_after_{};
  bool asks_ = false;
};

}  // namespace sluice
