// Certificates made on the spot, and a TLS client (OpenSSL's own) whose bytes the test carries to
// the session by hand: whole, in pieces, spoilt or not at all. One thread, no waiting.
#pragma once

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "common/net/tls_context.h"
#include "common/net/tls_session.h"
#include "common/platform/posix_filesystem.h"
#include "common/platform/unique_fd.h"
#include "scratch_directory.h"

namespace tls_rig {

template <auto kFree>
struct Free {
  template <class T>
  void operator()(T* object) const {
    kFree(object);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Free<X509_free>>;
using Bio = std::unique_ptr<BIO, Free<BIO_free>>;

inline void require(bool ok, const char* what) {
  if (!ok) {
    throw std::runtime_error(what);
  }
}

inline std::string text_of(BIO* bio) {
  char* begin = nullptr;
  const long bytes = BIO_get_mem_data(bio, &begin);
  return {begin, static_cast<std::size_t>(bytes)};
}

inline std::string pem_of(X509* certificate) {
  const Bio bio(BIO_new(BIO_s_mem()));
  require(PEM_write_bio_X509(bio.get(), certificate) == 1, "PEM_write_bio_X509");
  return text_of(bio.get());
}

// With a passphrase, encrypted: as PKCS#8, or in the old form of its algorithm.
inline std::string pem_of(EVP_PKEY* key, const char* passphrase = nullptr, bool old_form = false) {
  const Bio bio(BIO_new(BIO_s_mem()));
  const EVP_CIPHER* cipher = passphrase == nullptr ? nullptr : EVP_aes_128_cbc();
  auto* secret = const_cast<char*>(passphrase);
  const int written =
      old_form ? PEM_write_bio_PrivateKey_traditional(
                     bio.get(), key, cipher, reinterpret_cast<unsigned char*>(secret),
                     passphrase == nullptr ? 0 : static_cast<int>(std::string_view(secret).size()),
                     nullptr, nullptr)
               : PEM_write_bio_PKCS8PrivateKey(bio.get(), key, cipher, nullptr, 0, nullptr, secret);
  require(written == 1, "PEM_write_bio_PrivateKey");
  return text_of(bio.get());
}

struct Issued {
  Certificate certificate;
  Key key;
  [[nodiscard]] std::string cert_pem() const { return pem_of(certificate.get()); }
  [[nodiscard]] std::string key_pem() const { return pem_of(key.get()); }
};

struct Wanted {
  std::string common_name;
  std::string alternative = {};  // "DNS:a.example,URI:spiffe://b"
  long begins_in_s = -3600;
  long ends_in_s = 3600;
  bool authority = false;
  std::string usage = {};  // extended key usage: "serverAuth"
  bool weak = false;       // RSA with 1024 bits
};

inline void add_extension(X509* certificate, int nid, const std::string& value) {
  if (value.empty()) {
    return;
  }
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  require(extension != nullptr && X509_add_ext(certificate, extension, -1) == 1, "extension");
  X509_EXTENSION_free(extension);
}

inline void name_subject(X509* certificate, const std::string& common_name) {
  if (!common_name.empty()) {
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(common_name.data()),
                               static_cast<int>(common_name.size()), -1, 0);
  }
}

inline Issued issue(const Wanted& wanted, const Issued* by) {
  static long serial = 1;
  Issued issued;
  issued.key.reset(wanted.weak ? EVP_RSA_gen(1024U) : EVP_EC_gen("P-256"));
  issued.certificate.reset(X509_new());
  X509* one = issued.certificate.get();
  X509_set_version(one, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(one), serial++);
  X509_gmtime_adj(X509_getm_notBefore(one), wanted.begins_in_s);
  X509_gmtime_adj(X509_getm_notAfter(one), wanted.ends_in_s);
  name_subject(one, wanted.common_name);
  const Issued& issuer = by == nullptr ? issued : *by;
  X509_set_issuer_name(one, X509_get_subject_name(issuer.certificate.get()));
  X509_set_pubkey(one, issued.key.get());
  add_extension(one, NID_basic_constraints,
                wanted.authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
  add_extension(one, NID_subject_alt_name, wanted.alternative);
  add_extension(one, NID_ext_key_usage, wanted.usage);
  require(X509_sign(one, issuer.key.get(), EVP_sha256()) > 0, "X509_sign");
  return issued;
}

inline Issued make_authority(const std::string& name, const Issued* by = nullptr) {
  return issue({.common_name = name, .authority = true}, by);
}

struct ClientOptions {
  const Issued* certificate = nullptr;
  int version_min = TLS1_2_VERSION;
  int version_max = TLS1_3_VERSION;
  const char* ciphers = nullptr;
  const Issued* trusts = nullptr;  // the server's root; nothing: whatever it shows
};

class Client {
 public:
  explicit Client(const ClientOptions& options) : context_(SSL_CTX_new(TLS_client_method())) {
    SSL_CTX* context = context_.get();
    SSL_CTX_set_security_level(context, 0);
    SSL_CTX_set_min_proto_version(context, options.version_min);
    SSL_CTX_set_max_proto_version(context, options.version_max);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT);
    if (options.ciphers != nullptr) {
      require(SSL_CTX_set_cipher_list(context, options.ciphers) == 1, options.ciphers);
    }
    if (options.certificate != nullptr) {
      require(SSL_CTX_use_certificate(context, options.certificate->certificate.get()) == 1,
              "client certificate");
      require(SSL_CTX_use_PrivateKey(context, options.certificate->key.get()) == 1, "client key");
    }
    if (options.trusts != nullptr) {
      X509_STORE_add_cert(SSL_CTX_get_cert_store(context), options.trusts->certificate.get());
      SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
    }
    ssl_.reset(SSL_new(context));
    in_ = BIO_new(BIO_s_mem());
    out_ = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl_.get(), in_, out_);
    SSL_set_connect_state(ssl_.get());
  }

  [[nodiscard]] SSL* ssl() const { return ssl_.get(); }
  // 1 done, 0 goes on, -1 failed.
  [[nodiscard]] int step() const {
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl());
    return result == 1 ? 1 : (SSL_get_error(ssl(), result) == SSL_ERROR_WANT_READ ? 0 : -1);
  }
  [[nodiscard]] bool write(std::string_view bytes) const {
    ERR_clear_error();
    return SSL_write(ssl(), bytes.data(), static_cast<int>(bytes.size())) > 0;
  }
  // All that is there; `verdict` becomes SSL_get_error's.
  std::string read() {
    std::string all;
    std::array<char, 4096> some{};
    for (;;) {
      ERR_clear_error();
      const int got = SSL_read(ssl(), some.data(), some.size());
      if (got <= 0) {
        verdict = SSL_get_error(ssl(), got);
        error = ERR_peek_error();
        return all;
      }
      all.append(some.data(), static_cast<std::size_t>(got));
    }
  }
  // What TLS wants sent, and is gone from here then.
  std::string take_output() {
    std::string bytes(BIO_ctrl_pending(out_), '\0');
    if (!bytes.empty()) {
      (void)BIO_read(out_, bytes.data(), static_cast<int>(bytes.size()));
    }
    return bytes;
  }
  void give_input(std::string_view bytes) {
    (void)BIO_write(in_, bytes.data(), static_cast<int>(bytes.size()));
  }

  int verdict = SSL_ERROR_NONE;
  unsigned long error = 0;

 private:
  std::unique_ptr<SSL_CTX, Free<SSL_CTX_free>> context_;
  std::unique_ptr<SSL, Free<SSL_free>> ssl_;
  BIO* in_ = nullptr;   // the session's
  BIO* out_ = nullptr;  // the session's
};

// The two ends of a connection; ours is non-blocking.
class Wire {
 public:
  explicit Wire(int buffer_bytes = 0) {
    std::array<int, 2> ends{};
    require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) == 0,
            "socketpair");
    server_ = sluice::UniqueFd(ends[0]);
    client_ = sluice::UniqueFd(ends[1]);
    if (buffer_bytes > 0) {
      (void)::setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &buffer_bytes, sizeof buffer_bytes);
    }
  }
  [[nodiscard]] int server() const { return server_.get(); }
  // How many of `bytes` the socket took.
  [[nodiscard]] std::size_t send(std::string_view bytes) const {
    const ssize_t sent = ::send(client_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    return sent > 0 ? static_cast<std::size_t>(sent) : 0;
  }
  [[nodiscard]] std::string receive() const {
    std::string all;
    std::array<char, 4096> some{};
    for (ssize_t got = 0; (got = ::recv(client_.get(), some.data(), some.size(), 0)) > 0;) {
      all.append(some.data(), static_cast<std::size_t>(got));
    }
    return all;
  }
  // Bytes that the server has not taken.
  [[nodiscard]] bool server_readable() const {
    char byte = 0;
    return ::recv(server_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
  }
  void finish() const { (void)::shutdown(client_.get(), SHUT_WR); }
  void close() { client_.reset(); }

 private:
  sluice::UniqueFd server_;
  sluice::UniqueFd client_;
};

// A client and a session on a wire.
class Pair {
 public:
  explicit Pair(std::shared_ptr<const sluice::TlsContext> context,
                const ClientOptions& options = {}, int buffer_bytes = 0)
      : wire(buffer_bytes), client(options), session(std::move(context), wire.server()) {}

  // What the client has to say goes to the session's socket, and what came back to the client.
  void carry() {
    (void)wire.send(client.take_output());
    client.give_input(wire.receive());
  }
  // Until the session has an end of it, or neither side moves; the last outcome.
  sluice::TlsHandshakeOutcome handshake() {
    using Kind = sluice::TlsHandshakeOutcome::Kind;
    sluice::TlsHandshakeOutcome outcome;
    constexpr int kTurnsMax = 20;
    for (int turn = 0; turn < kTurnsMax; ++turn) {
      client_state = client_state == 0 ? client.step() : client_state;
      carry();
      outcome = session.handshake();
      if (outcome.kind != Kind::want_read && outcome.kind != Kind::want_write) {
        break;
      }
      carry();
    }
    carry();
    client_state = client_state == 0 ? client.step() : client_state;
    return outcome;
  }
  // As a poller's turn would: until the session would block or is at its end.
  sluice::TlsReadOutcome read_all(std::string& into, std::size_t bytes_at_once = 65536) {
    std::vector<std::byte> room(bytes_at_once);
    for (;;) {
      sluice::TlsReadOutcome outcome = session.read(room);
      if (outcome.kind != sluice::TlsReadOutcome::Kind::bytes) {
        return outcome;
      }
      into.append(reinterpret_cast<const char*>(room.data()), outcome.bytes);
    }
  }
  sluice::TlsWriteOutcome write(std::string_view bytes) {
    return session.write(std::as_bytes(std::span(bytes)));
  }

  Wire wire;
  Client client;
  sluice::TlsSession session;
  int client_state = 0;
};

// Files in a directory of their own, and a context from them.
class Site {
 public:
  Site() : root(make_authority("root of servers")), clients(make_authority("root of clients")) {
    use(issue({.common_name = "server", .alternative = "DNS:server.example"}, &root));
    write("ca.pem", clients.cert_pem());
  }

  void use(const Issued& server) const {
    write("cert.pem", server.cert_pem());
    write("key.pem", server.key_pem());
  }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(directory.path() / name, std::ios::trunc | std::ios::binary) << text;
  }
  [[nodiscard]] sluice::TlsContext::Options options(bool mutual = false) const {
    return {directory.path() / "cert.pem",
            directory.path() / "key.pem",
            mutual ? directory.path() / "ca.pem" : std::filesystem::path(),
            {}};
  }
  static sluice::Result<std::shared_ptr<const sluice::TlsContext>> load(
      const sluice::TlsContext::Options& options) {
    sluice::PosixFilesystem filesystem;
    return sluice::TlsContext::load(filesystem, options, std::chrono::system_clock::now());
  }
  // Without client certificates; with: those of `clients`, by name where names are given.
  [[nodiscard]] std::shared_ptr<const sluice::TlsContext> plain() const {
    return loaded(options());
  }
  [[nodiscard]] std::shared_ptr<const sluice::TlsContext> mutual(
      std::vector<std::string> names = {}) const {
    auto wanted = options(true);
    wanted.client_names = std::move(names);
    return loaded(wanted);
  }
  static std::shared_ptr<const sluice::TlsContext> loaded(
      const sluice::TlsContext::Options& options) {
    auto context = load(options);
    require(context.ok(), context ? "" : context.error().message.c_str());
    return *context;
  }

  ScratchDirectory directory;
  Issued root;
  Issued clients;
};

}  // namespace tls_rig
