// A blocking TCP client on loopback for tests. Every wait has a deadline of 20 s.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <stdexcept>
#include <string>
#include <string_view>

#include "common/platform/unique_fd.h"

class LoopbackClient {
 public:
  enum class Ending { fin, reset, timeout };

  explicit LoopbackClient(std::uint16_t port)
      : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval limit{20, 0};
    (void)::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    (void)::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      throw std::runtime_error("connect");
    }
  }

  // False where the peer is gone or took nothing for 20 s.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) {
        return false;
      }
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  // What can be sent without waiting.
  std::size_t send_some(std::string_view bytes) {
    const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent > 0 ? static_cast<std::size_t>(sent) : 0;
  }
  // Fewer where the peer ends or sends nothing for 20 s.
  std::string receive(std::size_t bytes) {
    std::string into(bytes, '\0');
    std::size_t got = 0;
    while (got < bytes) {
      const ssize_t more = ::recv(fd_.get(), into.data() + got, bytes - got, 0);
      if (more <= 0) {
        break;
      }
      got += static_cast<std::size_t>(more);
    }
    into.resize(got);
    return into;
  }
  void finish() { (void)::shutdown(fd_.get(), SHUT_WR); }
  void reset() {
    const linger now{1, 0};
    (void)::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
    fd_.reset();
  }
  Ending ending() {
    char byte = 0;
    const ssize_t got = ::recv(fd_.get(), &byte, 1, 0);
    if (got == 0) {
      return Ending::fin;
    }
    return errno == ECONNRESET ? Ending::reset : Ending::timeout;
  }

 private:
  sluice::UniqueFd fd_;
};
