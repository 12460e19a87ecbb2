#include "common/net/tls_transport.h"

#include <openssl/bio.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "common/base/check.h"

namespace sluice {
namespace {

TlsTransport& transport_of(BIO* bio) { return *static_cast<TlsTransport*>(BIO_get_data(bio)); }

bool is_busy(int code) { return code == EAGAIN || code == EWOULDBLOCK; }

int receive(BIO* bio, char* into, int bytes) {
  TlsTransport& transport = transport_of(bio);
  BIO_clear_retry_flags(bio);
  const std::size_t room = std::min(static_cast<std::size_t>(bytes), transport.budget_bytes);
  if (room == 0) {
    BIO_set_retry_read(bio);
    return -1;
  }
  ssize_t got = 0;
  do {
    got = ::recv(transport.fd, into, room, 0);
  } while (got < 0 && errno == EINTR);
  if (got < 0) {
    if (is_busy(errno)) {
      BIO_set_retry_read(bio);
    } else {
      transport.fault = errno;
    }
    return -1;
  }
  if (got == 0) {
    transport.received_fin = true;
    return 0;
  }
  if (!transport.first_byte) {
    transport.first_byte = static_cast<unsigned char>(into[0]);
  }
  transport.budget_bytes -= static_cast<std::size_t>(got);
  return static_cast<int>(got);
}

int send_bytes(BIO* bio, const char* from, int bytes) {
  TlsTransport& transport = transport_of(bio);
  BIO_clear_retry_flags(bio);
  ssize_t sent = 0;
  do {
    sent = ::send(transport.fd, from, static_cast<std::size_t>(bytes), MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent >= 0) {
    return static_cast<int>(sent);
  }
  if (is_busy(errno)) {
    BIO_set_retry_write(bio);
  } else {
    transport.fault = errno;
  }
  return -1;
}

long control(BIO* bio, int command, long /*number*/, void* /*pointer*/) {
  switch (command) {
    case BIO_CTRL_FLUSH:
      return 1;
    case BIO_CTRL_EOF:  // by this OpenSSL tells a FIN from other failures
      return transport_of(bio).received_fin ? 1 : 0;
    default:
      return 0;
  }
}

// One for the process, never freed.
const BIO_METHOD* method() {
  static const BIO_METHOD* const kMethod = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "sluice socket");
    CHECK_THAT(made != nullptr);
    CHECK_THAT(BIO_meth_set_read(made, &receive) == 1);
    CHECK_THAT(BIO_meth_set_write(made, &send_bytes) == 1);
    CHECK_THAT(BIO_meth_set_ctrl(made, &control) == 1);
    return made;
  }();
  return kMethod;
}

}  // namespace

BIO* new_bio(TlsTransport& transport) {
  BIO* bio = BIO_new(method());
  if (bio != nullptr) {
    BIO_set_data(bio, &transport);
    BIO_set_init(bio, 1);
  }
  return bio;
}

}  // namespace sluice
