#include "common/net/client_socket.h"

#include <utility>

namespace sluice {

void ClientSocket::start_tls(std::shared_ptr<const TlsContext> context) {
  tls_.emplace(std::move(context), socket_.fd());
}

ClientSocket::Read ClientSocket::read(std::span<std::byte> into) {
  if (!tls_) {
    const ReadOutcome outcome = socket_.read(into);
    switch (outcome.kind) {
      case ReadOutcome::Kind::bytes:
        return {Read::Kind::bytes, outcome.bytes, false, {}};
      case ReadOutcome::Kind::would_block:
        return {Read::Kind::would_block, 0, false, {}};
      case ReadOutcome::Kind::finished:
        return {Read::Kind::finished, 0, false, {}};
      case ReadOutcome::Kind::reset:
        return {Read::Kind::reset, 0, false, {}};
    }
  }
  TlsReadOutcome outcome = tls_->read(into);
  switch (outcome.kind) {
    case TlsReadOutcome::Kind::bytes:
      return {Read::Kind::bytes, outcome.bytes, false, {}};
    case TlsReadOutcome::Kind::would_block:
      return {Read::Kind::would_block, 0, false, {}};
    case TlsReadOutcome::Kind::wants_write:
      return {Read::Kind::would_block, 0, true, {}};
    case TlsReadOutcome::Kind::finished:
      return {Read::Kind::finished, 0, false, {}};
    case TlsReadOutcome::Kind::truncated:
    case TlsReadOutcome::Kind::reset:
    case TlsReadOutcome::Kind::failed:
      break;
  }
  return {Read::Kind::reset, 0, false, std::move(outcome.reason)};
}

WriteOutcome ClientSocket::write(std::span<const std::byte> bytes) {
  if (!tls_) {
    return socket_.write(bytes);
  }
  const TlsWriteOutcome outcome = tls_->write(bytes);
  switch (outcome.kind) {
    case TlsWriteOutcome::Kind::bytes:
      return {WriteOutcome::Kind::bytes, outcome.bytes};
    case TlsWriteOutcome::Kind::would_block:
      return {WriteOutcome::Kind::would_block, 0};
    case TlsWriteOutcome::Kind::failed:
      break;
  }
  return {WriteOutcome::Kind::reset, 0};
}

bool ClientSocket::send_fin() {
  if (tls_) {
    switch (tls_->shutdown()) {
      case TlsShutdown::would_block:
        return false;
      case TlsShutdown::failed:
        close_with_reset();
        return true;
      case TlsShutdown::sent:
        break;
    }
    tls_.reset();
  }
  socket_.send_fin();
  return true;
}

void ClientSocket::close_with_reset() {
  tls_.reset();
  socket_.close_with_reset();
}

}  // namespace sluice
