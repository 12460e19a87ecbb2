#include <doctest/doctest.h>

#include <csignal>
#include <random>

#include "tls_rig.h"

using namespace sluice;
using namespace tls_rig;
using Kind = TlsReadOutcome::Kind;

namespace {

constexpr std::array kVersions = {TLS1_2_VERSION, TLS1_3_VERSION};

const std::shared_ptr<const TlsContext>& shared_context() {
  static const auto kContext = Site().plain();
  return kContext;
}

// After its handshake.
Pair open_pair(int version, int buffer_bytes = 0) {
  Pair pair(shared_context(), {.version_min = version, .version_max = version}, buffer_bytes);
  REQUIRE(pair.handshake().kind == TlsHandshakeOutcome::Kind::done);
  REQUIRE(pair.client_state == 1);
  return pair;
}

std::string random_text(std::size_t bytes, unsigned seed) {
  std::mt19937 random(seed);
  std::string text(bytes, '\0');
  for (char& c : text) {
    c = static_cast<char>(random());
  }
  return text;
}

}  // namespace

TEST_CASE("bytes_go_both_ways_and_close_notify_ends_each") {
  for (const int version : kVersions) {
    Pair pair = open_pair(version);
    std::string text;
    CHECK(pair.read_all(text).kind == Kind::would_block);
    CHECK(pair.client.write("<EVENT>1</EVENT>"));
    (void)SSL_shutdown(pair.client.ssl());
    pair.carry();
    CHECK(pair.read_all(text).kind == Kind::finished);
    CHECK(text == "<EVENT>1</EVENT>");
    CHECK(pair.read_all(text).kind == Kind::finished);
    // What is still to say is said after the client's end.
    CHECK(pair.write("ok").bytes == 2);
    pair.carry();
    CHECK(pair.client.read() == "ok");
    CHECK(pair.client.verdict == SSL_ERROR_WANT_READ);
    CHECK(pair.session.shutdown() == TlsShutdown::sent);
    pair.carry();
    CHECK(pair.client.read().empty());
    CHECK(pair.client.verdict == SSL_ERROR_ZERO_RETURN);
  }
}

TEST_CASE("bytes_that_came_with_the_handshake_are_told_of") {
  Pair pair(shared_context(), {.version_min = TLS1_3_VERSION});
  (void)pair.client.step();
  pair.carry();
  CHECK(pair.session.handshake().kind == TlsHandshakeOutcome::Kind::want_read);
  pair.carry();
  REQUIRE(pair.client.step() == 1);
  CHECK(pair.client.write("<EVENT/>"));
  pair.carry();
  REQUIRE(pair.session.handshake().kind == TlsHandshakeOutcome::Kind::done);
  CHECK_FALSE(pair.wire.server_readable());
  CHECK(pair.session.has_pending());
  std::string text;
  CHECK(pair.read_all(text).kind == Kind::would_block);
  CHECK(text == "<EVENT/>");
  CHECK_FALSE(pair.session.has_pending());
}

TEST_CASE("what_the_poller_does_not_tell_is_pending_until_it_is_read") {
  for (const int version : kVersions) {
    Pair pair = open_pair(version);
    // No multiple of a read, so that the end is found by one that gives bytes.
    const std::string sent = random_text(50'500, 1);
    CHECK(pair.client.write(sent));
    (void)SSL_shutdown(pair.client.ssl());
    pair.carry();
    std::string text;
    std::array<std::byte, 1000> room{};
    bool told = true;  // by the poller, or by has_pending()
    Kind last = Kind::would_block;
    while (told && last != Kind::finished) {
      const auto outcome = pair.session.read(room);
      last = outcome.kind;
      text.append(reinterpret_cast<const char*>(room.data()), outcome.bytes);
      told = pair.wire.server_readable() || pair.session.has_pending();
    }
    CHECK(last == Kind::finished);
    CHECK(text == sent);
    CHECK_FALSE(pair.session.has_pending());
  }
}

TEST_CASE("a_read_takes_many_records_at_once") {
  Pair pair = open_pair(TLS1_3_VERSION);
  for (int i = 0; i < 100; ++i) {
    CHECK(pair.client.write("<EVENT/>"));
  }
  pair.carry();
  std::array<std::byte, 4096> room{};
  CHECK(pair.session.read(room).bytes == 800);
  CHECK_FALSE(pair.session.has_pending());
}

TEST_CASE("n12_a_fin_without_close_notify_is_an_abnormal_end_wherever_it_falls") {
  for (const int version : kVersions) {
    for (const std::size_t cut : {0, 1, 4, 5, 10}) {
      Pair pair = open_pair(version);
      CHECK(pair.client.write("<EVENT>1</EVENT>"));
      pair.carry();
      CHECK(pair.client.write("<EVENT>2</EVENT>"));
      (void)pair.wire.send(pair.client.take_output().substr(0, cut));
      pair.wire.finish();
      std::string text;
      const auto end = pair.read_all(text);
      CHECK(end.kind == Kind::truncated);
      CHECK(end.reason == "FIN without close_notify");
      CHECK(text == "<EVENT>1</EVENT>");
      CHECK(pair.read_all(text).kind == Kind::truncated);
      CHECK(pair.session.shutdown() == TlsShutdown::failed);
      CHECK(pair.write("ok").kind == TlsWriteOutcome::Kind::failed);
    }
  }
}

TEST_CASE("n12_garbage_in_mid_stream_ends_it_after_the_bytes_before_it") {
  for (const int version : kVersions) {
    for (int way = 0; way < 5; ++way) {
      INFO("version ", version, " way ", way);
      Pair pair = open_pair(version);
      CHECK(pair.client.write("<EVENT>1</EVENT>"));
      std::string bytes = pair.client.take_output();
      CHECK(pair.client.write("<EVENT>2</EVENT>"));
      const std::string good = pair.client.take_output();
      std::string bad = good;
      switch (way) {
        case 0:
          bad = random_text(200, 7);
          break;
        case 1:
          bad = "<EVENT>2</EVENT>";
          break;
        case 2:
          bad.back() = static_cast<char>(bad.back() ^ 1);
          break;
        case 3:
          bad = std::string("\x17\x03\x03\xFF\xFF", 5) + std::string(100, 'x');
          break;
        case 4:
          bad = good + good;  // a record twice
          break;
      }
      (void)pair.wire.send(bytes + bad);
      std::string text;
      const auto end = pair.read_all(text);
      CHECK(end.kind == Kind::failed);
      CHECK(end.reason.starts_with("TLS error: "));
      CHECK(text == (way == 4 ? "<EVENT>1</EVENT><EVENT>2</EVENT>" : "<EVENT>1</EVENT>"));
      CHECK(pair.read_all(text).kind == Kind::failed);
      pair.carry();
      (void)pair.client.read();
      CHECK(SSL_get_shutdown(pair.client.ssl()) == SSL_RECEIVED_SHUTDOWN);  // by our alert
    }
  }
}

TEST_CASE("n12_an_alert_of_the_client_is_named") {
  Pair pair = open_pair(TLS1_3_VERSION);
  pair.client.give_input(random_text(100, 3));
  (void)pair.client.read();
  pair.carry();
  std::string text;
  const auto end = pair.read_all(text);
  CHECK(end.kind == Kind::failed);
  CHECK(end.reason.starts_with("the client gave up with the alert '"));
}

TEST_CASE("n12_a_reset_is_told_from_a_fin") {
  for (const int version : kVersions) {
    Pair pair = open_pair(version);
    CHECK(pair.write("ok").bytes == 2);
    pair.wire.close();  // with unread bytes: the kernel's reset
    std::string text;
    const auto end = pair.read_all(text);
    CHECK(end.kind == Kind::reset);
    CHECK(end.reason == "Connection reset by peer");
  }
}

TEST_CASE("writing_to_a_connection_that_is_gone_raises_no_signal") {
  const auto before = std::signal(SIGPIPE, SIG_DFL);
  for (const int version : kVersions) {
    Pair pair = open_pair(version);
    pair.wire.close();
    const auto outcome = pair.write("ok");
    CHECK(outcome.kind == TlsWriteOutcome::Kind::failed);
    CHECK(outcome.reason == "Broken pipe");
    CHECK(pair.write("ok").kind == TlsWriteOutcome::Kind::failed);
    CHECK(pair.session.shutdown() == TlsShutdown::failed);
    Pair other = open_pair(version);
    other.wire.close();
    CHECK(other.session.shutdown() == TlsShutdown::failed);
  }
  (void)std::signal(SIGPIPE, before);
}

TEST_CASE("c6_renegotiation_is_refused") {
  Pair pair = open_pair(TLS1_2_VERSION);
  CHECK(pair.client.write("<EVENT/>"));
  SSL_renegotiate(pair.client.ssl());
  (void)pair.client.step();
  pair.carry();
  std::string text;
  const auto outcome = pair.read_all(text);
  CHECK(outcome.kind == Kind::would_block);
  CHECK(text == "<EVENT/>");
  const std::string answer = pair.wire.receive();
  CHECK(answer.size() < 64);  // an alert, no ServerHello
  pair.client.give_input(answer);
  CHECK(pair.client.step() == -1);
  CHECK(ERR_GET_REASON(ERR_peek_error()) == SSL_R_NO_RENEGOTIATION);
}

TEST_CASE("c6_keys_are_updated_on_request") {
  Pair pair = open_pair(TLS1_3_VERSION);
  std::string text;
  for (int i = 0; i < 3; ++i) {
    SSL_key_update(pair.client.ssl(), SSL_KEY_UPDATE_REQUESTED);
    CHECK(pair.client.write("<EVENT/>"));
    pair.carry();
    CHECK(pair.read_all(text).kind == Kind::would_block);
    CHECK(pair.write("ok").bytes == 2);
    pair.carry();
    CHECK(pair.client.read() == "ok");
  }
  CHECK(text == "<EVENT/><EVENT/><EVENT/>");
}

// A client that sends records without content, faster than they are taken, must not keep a thread.
TEST_CASE("n12_a_flood_of_empty_handshake_records_costs_a_call_a_bounded_part") {
  Pair pair = open_pair(TLS1_3_VERSION);
  for (int i = 0; i < 5000; ++i) {
    SSL_key_update(pair.client.ssl(), SSL_KEY_UPDATE_NOT_REQUESTED);
    (void)pair.client.step();
  }
  CHECK(pair.client.write("<EVENT/>"));
  const std::string flood = pair.client.take_output();
  REQUIRE(flood.size() > 100'000);
  REQUIRE(pair.wire.send(flood) == flood.size());
  std::array<std::byte, 1000> room{};
  CHECK(pair.session.read(room).kind == Kind::would_block);
  CHECK(pair.wire.server_readable());  // so the poller will tell
  int calls = 1;
  for (; calls < 100 && pair.session.read(room).kind == Kind::would_block; ++calls) {
  }
  CHECK(calls < 10);
}

TEST_CASE("a_write_stops_where_the_socket_is_full_and_goes_on_from_another_buffer") {
  constexpr int kSocketBytes = 4096;
  for (const int version : kVersions) {
    Pair pair = open_pair(version, kSocketBytes);
    const std::string sent = random_text(1'000'000, 5);
    std::string received;
    std::size_t taken = 0;
    int blocked = 0;
    int partial = 0;
    while (taken < sent.size() && blocked < 10'000) {
      const std::string moved = sent.substr(taken);
      const auto outcome = pair.write(moved);
      REQUIRE(outcome.kind != TlsWriteOutcome::Kind::failed);
      taken += outcome.bytes;
      blocked += outcome.kind == TlsWriteOutcome::Kind::would_block ? 1 : 0;
      partial += outcome.kind == TlsWriteOutcome::Kind::bytes && taken < sent.size() ? 1 : 0;
      pair.carry();
      received += pair.client.read();
    }
    CHECK(blocked + partial > 10);
    pair.carry();
    received += pair.client.read();
    CHECK(received == sent);
  }
}

TEST_CASE("close_notify_waits_for_room_in_the_socket") {
  Pair pair = open_pair(TLS1_3_VERSION, 4096);
  const std::string byte = "x";
  std::size_t taken = 0;
  // Until the socket is full; the last byte is in a record that waits.
  while (pair.write(byte).kind == TlsWriteOutcome::Kind::bytes) {
    ++taken;
  }
  pair.carry();
  CHECK(pair.client.read().size() == taken);
  CHECK(pair.write(byte).bytes == 1);
  ++taken;
  std::string filler(200, 'y');  // past TLS, so that no record of ours waits
  std::size_t filled = 0;
  for (ssize_t sent = 0; sent >= 0;) {
    filled += static_cast<std::size_t>(sent);
    sent = ::send(pair.wire.server(), filler.data(), filler.size(), MSG_DONTWAIT);
  }
  CHECK(pair.session.shutdown() == TlsShutdown::would_block);
  std::string before = pair.wire.receive();
  CHECK(pair.session.shutdown() == TlsShutdown::sent);
  before.resize(before.size() - filled);
  pair.client.give_input(before + pair.wire.receive());
  CHECK(pair.client.read() == "x");
  CHECK(pair.client.verdict == SSL_ERROR_ZERO_RETURN);
}
