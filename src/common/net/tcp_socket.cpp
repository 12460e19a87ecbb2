#include "common/net/tcp_socket.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace sluice {

ReadOutcome TcpSocket::read(std::span<std::byte> into) { return receive(into, 0); }

ReadOutcome TcpSocket::peek(std::span<std::byte> into) { return receive(into, MSG_PEEK); }

ReadOutcome TcpSocket::receive(std::span<std::byte> into, int flags) {
  for (;;) {
    const ssize_t got = ::recv(fd_.get(), into.data(), into.size(), flags);
    if (got > 0) {
      return {ReadOutcome::Kind::bytes, static_cast<std::size_t>(got)};
    }
    if (got == 0) {
      return {ReadOutcome::Kind::finished, 0};
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return {ReadOutcome::Kind::would_block, 0};
    }
    if (errno != EINTR) {
      return {ReadOutcome::Kind::reset, 0};
    }
  }
}

WriteOutcome TcpSocket::write(std::span<const std::byte> bytes) {
  return write(std::span(&bytes, 1));
}

WriteOutcome TcpSocket::write(std::span<const std::span<const std::byte>> parts) {
  std::array<iovec, kPartsMax> vectors;
  std::size_t used = 0;
  for (const auto& part : parts.first(std::min(parts.size(), kPartsMax))) {
    vectors[used++] = {const_cast<std::byte*>(part.data()), part.size()};
  }
  msghdr message{};
  message.msg_iov = vectors.data();
  message.msg_iovlen = used;
  for (;;) {
    const ssize_t sent = ::sendmsg(fd_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      return {WriteOutcome::Kind::bytes, static_cast<std::size_t>(sent)};
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return {WriteOutcome::Kind::would_block, 0};
    }
    if (errno != EINTR) {
      return {WriteOutcome::Kind::reset, 0};
    }
  }
}

TcpSocket::TcpSocket(UniqueFd fd) : fd_(std::move(fd)) { set_reset_on_close(true); }

void TcpSocket::set_reset_on_close(bool on) {
  const linger option{on ? 1 : 0, 0};
  (void)::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &option, sizeof option);
}

void TcpSocket::send_fin() { (void)::shutdown(fd_.get(), SHUT_WR); }

bool TcpSocket::is_all_taken() const {
  int bytes = 0;
  if (::ioctl(fd_.get(), SIOCOUTQ, &bytes) != 0 || bytes == 0) {
    return true;
  }
  // After a reset the count stays as it was.
  tcp_info info{};
  socklen_t info_bytes = sizeof info;
  return ::getsockopt(fd_.get(), IPPROTO_TCP, TCP_INFO, &info, &info_bytes) == 0 &&
         info.tcpi_state == TCP_CLOSE;
}

void TcpSocket::close_with_fin() {
  set_reset_on_close(false);
  fd_.reset();
}

void TcpSocket::close_with_reset() { fd_.reset(); }

}  // namespace sluice
