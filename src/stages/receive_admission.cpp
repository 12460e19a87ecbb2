// Who is let in: the steps of a connection before its first byte goes down.
#include <array>
#include <new>
#include <utility>

#include "common/log/log.h"
#include "common/net/proxy_protocol.h"
#include "stages/receive.h"
#include "stages/receive_times.h"

namespace sluice {
namespace {

constexpr auto kAcceptPause = std::chrono::milliseconds(100);
constexpr std::string_view kTokenRefused =
    "{\"status\": \"error\", \"message\": \"invalid token\"}\n";

const ListenerRulesPtr& everyone_in_plain_text() {
  static const auto rules = std::make_shared<const ListenerRules>();
  return rules;
}

}  // namespace

void Receiver::pause_accepting(MonotonicTime until) {
  if (!accept_paused_until_) {
    for (const TcpListener& listener : listeners_) {
      poller_.remove(listener.fd());
    }
  }
  accept_paused_until_ = until;
}

void Receiver::resume_accepting() {
  accept_paused_until_.reset();
  for (std::size_t i = 0; i < listeners_.size(); ++i) {
    poller_.add(listeners_[i].fd(), kListenerTokens + i, true);
  }
}

// Where the accept rate is used up, accepting pauses; the kernel's backlog holds who waits.
bool Receiver::may_accept() {
  if (shared_.accept_rate == nullptr) {
    return true;
  }
  const auto until = shared_.accept_rate->take(shared_.clock.now());
  if (until) {
    log::limited(log::Level::warning, "accept paused", {{"reason", "ACCEPT_RATE_MAX is reached"}});
    pause_accepting(*until);
  }
  return !until;
}

void Receiver::accept_waiting(std::size_t listener) {
  // A bounded turn: established connections get theirs in between.
  constexpr int kAcceptsPerTurn = 64;
  for (int i = 0; i < kAcceptsPerTurn && !accept_paused_until_; ++i) {
    if (!may_accept()) {
      return;
    }
    auto outcome = listeners_[listener].accept(options_.keepalive);
    if (auto* accepted = std::get_if<TcpListener::Accepted>(&outcome)) {
      admit(std::move(*accepted));
      continue;
    }
    if (shared_.accept_rate != nullptr) {
      shared_.accept_rate->put_back();
    }
    const auto fault = std::get<TcpListener::AcceptFault>(outcome);
    if (fault == TcpListener::AcceptFault::out_of_descriptors) {
      log::limited(log::Level::error, "accept paused",
                   {{"reason", "out of file descriptors"},
                    {"advice",
                     "raise the limit of open files (LimitNOFILE) or lower "
                     "MAX_CONNECTIONS"}});
      pause_accepting(shared_.clock.now() + kAcceptPause);
    }
    if (fault != TcpListener::AcceptFault::transient) {
      return;
    }
  }
}

void Receiver::refuse(TcpSocket socket, const PeerAddress& peer, std::string_view why) {
  shared_.books.connections_refused.fetch_add(1, std::memory_order_relaxed);
  log::limited(log::Level::warning, "connection refused",
               {{"peer", to_string(peer)}, {"limit", why}});
  socket.close_with_reset();
}

void Receiver::admit(TcpListener::Accepted accepted) {
  const MonotonicTime now = shared_.clock.now();
  ListenerRulesPtr rules =
      shared_.rules == nullptr ? everyone_in_plain_text() : shared_.rules->get();
  const bool is_proxy = rules->proxies.contains(accepted.peer);
  if (!is_proxy && !rules->allow.allows(accepted.peer)) {
    return refuse(std::move(accepted.socket), accepted.peer, "ALLOW_FROM");
  }
  const auto admission = shared_.limits.open(
      accepted.peer, now,
      is_proxy ? ConnectionLimits::Opener::proxy : ConnectionLimits::Opener::client);
  if (!admission.admitted) {
    return refuse(std::move(accepted.socket), accepted.peer, admission.refused_by);
  }
  auto connection = std::make_shared<Connection>();
  connection->id = shared_.last_id.fetch_add(1) + 1;
  connection->peer = accepted.peer;
  connection->protocol = options_.protocol;
  connection->receiver = options_.index;
  connection->opened_at = now;
  shared_.books.connections_opened.fetch_add(1, std::memory_order_relaxed);
  Feed& feed = feeds_[connection->id];
  feed.connection = std::move(connection);
  feed.socket = ClientSocket(std::move(accepted.socket));
  feed.counted_as = feed.connection->peer;
  feed.gap = admission.gap;
  feed.rules = std::move(rules);
  feed.step = is_proxy ? Step::proxy : feed.rules->tls ? Step::tls : Step::open;
  watch(feed);
  if (feed.step == Step::open) {
    note_opened(feed);
  } else if (feed.step == Step::tls) {
    open_further(feed);
  }
}

void Receiver::note_opened(Feed& feed) {
  Connection& connection = *feed.connection;
  feed.step = Step::open;
  feed.rules.reset();
  feed.opening = {};
  connection.rate_key = connection.client_name.empty()
                            ? RateLimiter::key_of(connection.peer)
                            : RateLimiter::key_of(connection.client_name);
  log::info("connection opened",
            {{"peer", to_string(connection.peer)},
             {"connection", connection.id},
             {"gap_seconds", feed.gap ? seconds_of(*feed.gap) : -1.0},
             {"tls", feed.socket.is_tls() ? feed.socket.tls().version() : "none"},
             {"client", connection.client_name}});
}

// A step at a time, as far as there are bytes for it. The feed may be gone after it.
void Receiver::open_further(Feed& feed) {
  if (feed.step == Step::proxy && !read_proxy_header(feed)) {
    return;
  }
  if (feed.step == Step::tls && !shake_hands(feed)) {
    return;
  }
  if (feed.step == Step::token && !read_token(feed)) {
    return;
  }
  note_opened(feed);
  watch(feed);
  read_turn(feed);
}

// The header's bytes and no more are taken from the socket: what follows may be TLS's. True when it
// is through; false: it waits for more, or the feed is gone.
bool Receiver::read_proxy_header(Feed& feed) {
  std::array<std::byte, kProxyHeaderBytesMax> peeked;
  const ReadOutcome outcome = feed.socket.plain().peek(peeked);
  if (outcome.kind == ReadOutcome::Kind::would_block) {
    return false;
  }
  if (outcome.kind != ReadOutcome::Kind::bytes) {
    turn_away(feed, feed.opening.empty() ? "" : "it ended inside a PROXY header");
    return false;
  }
  const std::size_t before = feed.opening.size();
  feed.opening += as_text(std::span(peeked).first(outcome.bytes));
  const ProxyHeader header = parse_proxy_header(std::as_bytes(std::span(feed.opening)));
  if (header.kind == ProxyHeader::Kind::invalid) {
    turn_away(feed, "the trusted proxy began with no PROXY header: " + std::string(header.reason));
    return false;
  }
  const std::size_t taken =
      (header.kind == ProxyHeader::Kind::done ? header.bytes : feed.opening.size()) - before;
  (void)feed.socket.plain().read(std::span(peeked).first(taken));
  shared_.books.bytes_received.fetch_add(taken, std::memory_order_relaxed);
  shared_.books.bytes_transport.fetch_add(taken, std::memory_order_relaxed);
  if (header.kind == ProxyHeader::Kind::need_more) {
    return false;
  }
  feed.opening.clear();
  if (header.client) {
    if (!feed.rules->allow.allows(*header.client)) {
      feed.connection->peer = *header.client;
      turn_away(feed, "ALLOW_FROM");
      return false;
    }
    const auto admission =
        shared_.limits.pass_on(feed.counted_as, *header.client, shared_.clock.now());
    feed.connection->peer = *header.client;
    if (!admission.admitted) {
      turn_away(feed, admission.refused_by);
      return false;
    }
    feed.counted_as = *header.client;
    feed.gap = admission.gap;
  }
  feed.step = feed.rules->tls ? Step::tls : Step::open;
  return true;
}

bool Receiver::shake_hands(Feed& feed) {
  if (!feed.socket.is_tls()) {
    try {
      feed.socket.start_tls(feed.rules->tls);
    } catch (const std::bad_alloc&) {
      turn_away(feed, "there is no memory for TLS");
      return false;
    }
  }
  const TlsHandshakeOutcome outcome = feed.socket.handshake();
  switch (outcome.kind) {
    case TlsHandshakeOutcome::Kind::want_read:
    case TlsHandshakeOutcome::Kind::want_write:
      feed.write_blocked = outcome.kind == TlsHandshakeOutcome::Kind::want_write;
      watch(feed);
      return false;
    case TlsHandshakeOutcome::Kind::closed:
      turn_away(feed, "");
      return false;
    case TlsHandshakeOutcome::Kind::failed:
      turn_away(feed, outcome.reason);
      return false;
    case TlsHandshakeOutcome::Kind::done:
      break;
  }
  feed.write_blocked = false;
  feed.connection->client_name = feed.socket.tls().client_name();
  const bool needs_token = feed.rules->tokens && feed.connection->client_name.empty();
  feed.step = needs_token ? Step::token : Step::open;
  return true;
}

// The line's bytes and no more are read, one by one: what follows it are events.
bool Receiver::read_token(Feed& feed) {
  std::byte byte{};
  while (feed.opening.size() < kTokenLineBytesMax) {
    const ClientSocket::Read outcome = feed.socket.read({&byte, 1});
    if (outcome.kind == ClientSocket::Read::Kind::would_block) {
      feed.read_wants_write = outcome.wants_write;
      watch(feed);
      return false;
    }
    if (outcome.kind != ClientSocket::Read::Kind::bytes) {
      turn_away(feed, feed.opening.empty() ? "" : "it ended inside its token");
      return false;
    }
    feed.opening += static_cast<char>(byte);
    if (byte == std::byte{'\n'}) {
      break;
    }
  }
  shared_.books.bytes_received.fetch_add(feed.opening.size(), std::memory_order_relaxed);
  shared_.books.bytes_transport.fetch_add(feed.opening.size(), std::memory_order_relaxed);
  const auto token = parse_token_line(feed.opening);
  const bool known = token && feed.rules->tokens->matches(*token);
  feed.opening.clear();
  if (!known) {
    (void)feed.socket.write(std::as_bytes(std::span(kTokenRefused)));
    turn_away(feed, token ? "its token is not in SERVER_TOKEN_FILE"
                          : "its first line is no {\"token\": \"…\"}");
    return false;
  }
  return true;
}

// Of a connection of which nothing went down. Empty: there is nothing to say, as of a probe.
void Receiver::turn_away(Feed& feed, std::string_view reason) {
  if (!reason.empty()) {
    shared_.books.connections_refused.fetch_add(1, std::memory_order_relaxed);
    log::limited(log::Level::warning, "connection refused",
                 {{"peer", to_string(feed.connection->peer)}, {"limit", reason}});
  }
  if (feed.watched) {
    poller_.remove(feed.socket.fd());
  }
  feed.socket.close_with_reset();
  forget(feed);
}

}  // namespace sluice
