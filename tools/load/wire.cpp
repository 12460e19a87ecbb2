#include "wire.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <cerrno>

#include "common/base/result.h"

namespace sluice::load {
namespace {

using Kind = Wire::Outcome::Kind;

// Of errno.
Wire::Outcome outcome_of_socket(const char* what) {
  if (errno == EAGAIN || errno == EINTR) {
    return {};
  }
  const bool reset = errno == ECONNRESET || errno == EPIPE;
  return {reset ? Kind::reset : Kind::failed, 0, system_error(what, errno).message};
}

}  // namespace

Wire::Outcome Wire::outcome_of_tls(int result, std::string_view what) {
  const int system_code = errno;
  switch (SSL_get_error(session_.get(), result)) {
    case SSL_ERROR_WANT_WRITE:
      wants_write_ = true;
      return {};
    case SSL_ERROR_WANT_READ:
      return {};
    case SSL_ERROR_ZERO_RETURN:
      return {Kind::finished, 0, {}};
    case SSL_ERROR_SYSCALL:
      ERR_clear_error();
      errno = system_code == 0 ? ECONNRESET : system_code;
      return outcome_of_socket(std::string(what).c_str());
    default:
      return {Kind::failed, 0, std::string(what) + ": " + take_tls_error()};
  }
}

Wire::Outcome Wire::handshake() {
  wants_write_ = false;
  const int result = SSL_do_handshake(session_.get());
  if (result == 1) {
    return {Kind::done, 0, {}};
  }
  const long verified = SSL_get_verify_result(session_.get());
  Outcome outcome = outcome_of_tls(result, "TLS handshake");
  if (outcome.kind == Kind::failed && verified != X509_V_OK) {
    outcome.reason =
        std::string("the server's certificate: ") + X509_verify_cert_error_string(verified);
  }
  return outcome;
}

Wire::Outcome Wire::send(std::string_view bytes) {
  if (!is_tls()) {
    const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    return sent < 0 ? outcome_of_socket("send")
                    : Outcome{Kind::done, static_cast<std::size_t>(sent), {}};
  }
  std::size_t sent = 0;
  const int result = SSL_write_ex(session_.get(), bytes.data(), bytes.size(), &sent);
  if (result == 1) {
    return {Kind::done, sent, {}};
  }
  const bool wanted_write = wants_write_;  // send_some() asks for room by itself
  Outcome outcome = outcome_of_tls(result, "send");
  wants_write_ = wanted_write;
  return outcome;
}

Wire::Outcome Wire::receive(std::span<char> into) {
  if (!is_tls()) {
    const ssize_t received = ::recv(fd_.get(), into.data(), into.size(), 0);
    if (received < 0) {
      return outcome_of_socket("receive");
    }
    return {received == 0 ? Kind::finished : Kind::done, static_cast<std::size_t>(received), {}};
  }
  wants_write_ = false;
  std::size_t received = 0;
  const int result = SSL_read_ex(session_.get(), into.data(), into.size(), &received);
  return result == 1 ? Outcome{Kind::done, received, {}} : outcome_of_tls(result, "receive");
}

Wire::Outcome Wire::finish() {
  if (is_tls()) {
    const int result = SSL_shutdown(session_.get());  // 0: ours is sent, theirs is still to come
    if (result < 0) {
      Outcome outcome = outcome_of_tls(result, "close");
      if (outcome.kind != Kind::finished) {
        return outcome;
      }
    }
  }
  ::shutdown(fd_.get(), SHUT_WR);
  return {Kind::done, 0, {}};
}

}  // namespace sluice::load
