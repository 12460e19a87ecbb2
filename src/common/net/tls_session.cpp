#include "common/net/tls_session.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <new>
#include <system_error>

#include "common/base/check.h"
#include "common/net/tls_reason.h"
#include "common/net/tls_transport.h"

namespace sluice {
namespace {

// What one call may take from the socket beyond the bytes that it gives: headers, and records that
// hold nothing for us (a handshake, key updates). A peer that sends such without end waits for the
// poller's next turn, as others do.
constexpr std::size_t kOverheadBytesMax = 64 * kKiB;

}  // namespace

struct TlsSession::State {
  struct Free {
    void operator()(SSL* session) const { SSL_free(session); }
  };

  std::shared_ptr<const TlsContext> context;
  TlsTransport transport;
  TlsClient client;
  bool established = false;
  bool broken = false;  // OpenSSL may be asked no more
  bool more = false;
  std::optional<TlsReadOutcome> end;
  std::unique_ptr<SSL, Free> ssl;  // the last: it goes before what it points to

  // Before each call of OpenSSL: SSL_get_error() looks at this thread's queue of errors.
  void begin(std::size_t bytes_wanted = 0) {
    ERR_clear_error();
    transport.fault = 0;
    transport.budget_bytes = bytes_wanted + kOverheadBytesMax;
  }
  [[nodiscard]] std::string fault_text() const {
    return transport.fault == 0 ? "the connection is closed"
                                : std::generic_category().message(transport.fault);
  }
  TlsHandshakeOutcome handshake_fault(int verdict);
  TlsReadOutcome read_stop();
};

// Of a handshake that cannot go on.
TlsHandshakeOutcome TlsSession::State::handshake_fault(int verdict) {
  using Kind = TlsHandshakeOutcome::Kind;
  broken = true;
  if (!transport.first_byte && (transport.received_fin || transport.fault != 0)) {
    return {Kind::closed, {}};
  }
  const unsigned long error = take_openssl_error();
  const bool gone = verdict == SSL_ERROR_SYSCALL && error == 0;
  if (gone && transport.first_byte == kTlsHandshakeByte) {
    return {Kind::failed, "the client closed during the handshake: " + fault_text()};
  }
  return {Kind::failed, handshake_reason(ssl.get(), error, client, transport.first_byte)};
}

// Why SSL_read_ex() gave nothing.
TlsReadOutcome TlsSession::State::read_stop() {
  using Kind = TlsReadOutcome::Kind;
  const int verdict = SSL_get_error(ssl.get(), 0);
  if (verdict == SSL_ERROR_WANT_READ) {
    return {Kind::would_block, 0, {}};
  }
  if (verdict == SSL_ERROR_WANT_WRITE) {
    return {Kind::wants_write, 0, {}};
  }
  if (verdict == SSL_ERROR_ZERO_RETURN) {
    return {Kind::finished, 0, {}};
  }
  broken = true;
  const unsigned long error = take_openssl_error();
  const bool is_eof = ERR_GET_LIB(error) == ERR_LIB_SSL &&
                      ERR_GET_REASON(error) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
  if (is_eof || (error == 0 && transport.received_fin)) {
    return {Kind::truncated, 0, "FIN without close_notify"};
  }
  if (error == 0) {
    return {Kind::reset, 0, fault_text()};
  }
  return {Kind::failed, 0, record_reason(error)};
}

TlsSession::TlsSession(std::shared_ptr<const TlsContext> context, int fd)
    : state_(std::make_unique<State>()) {
  state_->transport.fd = fd;
  state_->ssl.reset(context->new_session(state_->client));
  state_->context = std::move(context);
  BIO* bio = state_->ssl ? new_bio(state_->transport) : nullptr;
  if (bio == nullptr) {
    throw std::bad_alloc();
  }
  SSL_set_bio(state_->ssl.get(), bio, bio);
}

TlsSession::TlsSession(TlsSession&&) noexcept = default;
TlsSession& TlsSession::operator=(TlsSession&&) noexcept = default;
TlsSession::~TlsSession() = default;

TlsHandshakeOutcome TlsSession::handshake() {
  using Kind = TlsHandshakeOutcome::Kind;
  State& state = *state_;
  CHECK_THAT(!state.broken);
  if (state.established) {
    return {Kind::done, {}};
  }
  state.begin();
  SSL* ssl = state.ssl.get();
  if (const int result = SSL_do_handshake(ssl); result != 1) {
    switch (const int verdict = SSL_get_error(ssl, result)) {
      case SSL_ERROR_WANT_READ:
        return {Kind::want_read, {}};
      case SSL_ERROR_WANT_WRITE:
        return {Kind::want_write, {}};
      default:
        return state.handshake_fault(verdict);
    }
  }
  CHECK_THAT(
      !state.context->asks_for_client_certificate() ||
      (SSL_get0_peer_certificate(ssl) != nullptr && SSL_get_verify_result(ssl) == X509_V_OK));
  state.established = true;
  state.more = SSL_has_pending(ssl) == 1;
  return {Kind::done, {}};
}

TlsReadOutcome TlsSession::read(std::span<std::byte> into) {
  State& state = *state_;
  CHECK_THAT(state.established && !into.empty());
  state.more = false;
  if (state.end) {
    return *state.end;
  }
  if (state.broken) {
    return {TlsReadOutcome::Kind::reset, 0, "a write failed before"};
  }
  state.begin(into.size());
  std::size_t taken = 0;
  while (taken < into.size()) {
    std::size_t got = 0;
    if (SSL_read_ex(state.ssl.get(), into.data() + taken, into.size() - taken, &got) == 1) {
      taken += got;
      continue;
    }
    TlsReadOutcome stop = state.read_stop();
    const bool waits = stop.kind == TlsReadOutcome::Kind::would_block ||
                       stop.kind == TlsReadOutcome::Kind::wants_write;
    state.more = taken > 0 && stop.kind != TlsReadOutcome::Kind::would_block;
    if (!waits) {
      state.end = stop;
    }
    return taken > 0 ? TlsReadOutcome{TlsReadOutcome::Kind::bytes, taken, {}} : stop;
  }
  state.more = SSL_has_pending(state.ssl.get()) == 1;
  return {TlsReadOutcome::Kind::bytes, taken, {}};
}

bool TlsSession::has_pending() const { return state_->more; }

TlsWriteOutcome TlsSession::write(std::span<const std::byte> bytes) {
  using Kind = TlsWriteOutcome::Kind;
  State& state = *state_;
  CHECK_THAT(state.established);
  if (state.broken) {
    return {Kind::failed, 0, "the connection is broken"};
  }
  state.begin();
  std::size_t taken = 0;
  while (taken < bytes.size()) {
    std::size_t sent = 0;
    if (SSL_write_ex(state.ssl.get(), bytes.data() + taken, bytes.size() - taken, &sent) == 1) {
      taken += sent;
      continue;
    }
    const int verdict = SSL_get_error(state.ssl.get(), 0);
    if (verdict == SSL_ERROR_WANT_WRITE) {
      return {taken > 0 ? Kind::bytes : Kind::would_block, taken, {}};
    }
    state.broken = true;
    const unsigned long error = take_openssl_error();
    return {Kind::failed, 0, error == 0 ? state.fault_text() : record_reason(error)};
  }
  return {Kind::bytes, taken, {}};
}

TlsShutdown TlsSession::shutdown() {
  State& state = *state_;
  if (state.broken || !state.established) {
    return TlsShutdown::failed;
  }
  state.begin();
  if (SSL_shutdown(state.ssl.get()) >= 0) {
    return TlsShutdown::sent;  // the peer's may have come before, or comes never
  }
  if (SSL_get_error(state.ssl.get(), -1) == SSL_ERROR_WANT_WRITE) {
    return TlsShutdown::would_block;
  }
  state.broken = true;
  return TlsShutdown::failed;
}

bool TlsSession::established() const { return state_->established; }

std::string_view TlsSession::client_name() const { return state_->client.name; }

std::string_view TlsSession::version() const { return SSL_get_version(state_->ssl.get()); }

std::string_view TlsSession::cipher() const { return SSL_get_cipher_name(state_->ssl.get()); }

}  // namespace sluice
