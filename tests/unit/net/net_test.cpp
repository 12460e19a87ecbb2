#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <thread>
#include <vector>

#include "common/net/event_poller.h"
#include "common/net/tcp_listener.h"
#include "common/platform/unique_fd.h"
#include "loopback_client.h"

using namespace sluice;
using namespace std::chrono_literals;

namespace {

TcpSocket accept_one(TcpListener& listener) {
  EventPoller poller;
  poller.add(listener.fd(), 1);
  (void)poller.wait(std::chrono::steady_clock::now() + 10s);
  auto outcome = listener.accept({});
  REQUIRE(std::holds_alternative<TcpListener::Accepted>(outcome));
  return std::move(std::get<TcpListener::Accepted>(outcome).socket);
}

}  // namespace

TEST_CASE("port_zero_takes_a_free_one_and_a_taken_one_is_named") {
  auto first = TcpListener::listen("127.0.0.1", 0);
  REQUIRE(first);
  CHECK(first->port() != 0);
  auto second = TcpListener::listen("127.0.0.1", first->port());
  REQUIRE_FALSE(second);
  CHECK(second.error().message.find(std::to_string(first->port())) != std::string::npos);
  CHECK(second.error().message.find("another process") != std::string::npos);
}

TEST_CASE("bytes_and_fin_are_read_and_answered_with_fin") {
  auto listener = TcpListener::listen("127.0.0.1", 0);
  REQUIRE(listener);
  LoopbackClient client(listener->port());
  TcpSocket socket = accept_one(*listener);
  client.send("abc");
  client.finish();
  std::array<std::byte, 16> into{};
  EventPoller poller;
  poller.add(socket.fd(), 1);
  (void)poller.wait(std::chrono::steady_clock::now() + 10s);
  CHECK(socket.read(into).bytes == 3);
  (void)poller.wait(std::chrono::steady_clock::now() + 10s);
  CHECK(socket.read(into).kind == ReadOutcome::Kind::finished);
  poller.remove(socket.fd());
  socket.close_with_fin();
  CHECK(client.ending() == LoopbackClient::Ending::fin);
}

TEST_CASE("close_with_reset_is_a_reset") {
  auto listener = TcpListener::listen("127.0.0.1", 0);
  REQUIRE(listener);
  LoopbackClient client(listener->port());
  TcpSocket socket = accept_one(*listener);
  socket.close_with_reset();
  CHECK(client.ending() == LoopbackClient::Ending::reset);
}

TEST_CASE("p8_the_last_descriptors_are_kept_for_others_than_connections") {
  auto listener = TcpListener::listen("127.0.0.1", 0);
  REQUIRE(listener);
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  const rlimit small{80, before.rlim_max};  // 20 of them are kept
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &small) == 0);
  std::vector<LoopbackClient> clients;
  std::vector<TcpSocket> accepted;
  EventPoller poller;
  poller.add(listener->fd(), 1);
  bool full = false;
  while (!full && accepted.size() < 80) {
    clients.emplace_back(listener->port());
    (void)poller.wait(std::chrono::steady_clock::now() + 10s);
    auto outcome = listener->accept({});
    if (auto* one = std::get_if<TcpListener::Accepted>(&outcome)) {
      accepted.push_back(std::move(one->socket));
    } else {
      full = std::get<TcpListener::AcceptFault>(outcome) ==
             TcpListener::AcceptFault::out_of_descriptors;
    }
  }
  std::vector<UniqueFd> others;  // what else may still be opened
  for (UniqueFd fd(::dup(0)); fd.valid(); fd = UniqueFd(::dup(0))) {
    others.push_back(std::move(fd));
  }
  const std::size_t left = others.size();
  others.clear();
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(full);
  CHECK(left >= 19);
  CHECK(left <= 21);
  REQUIRE(clients.size() > 2);
  CHECK(clients.back().ending() == LoopbackClient::Ending::reset);
}

// As when the process is killed: the kernel closes what is open.
TEST_CASE("a_finished_connection_that_is_dropped_is_a_reset") {
  auto listener = TcpListener::listen("127.0.0.1", 0);
  REQUIRE(listener);
  LoopbackClient client(listener->port());
  {
    TcpSocket socket = accept_one(*listener);
    client.send("abc");
    client.finish();
    std::array<std::byte, 16> into{};
    EventPoller poller;
    poller.add(socket.fd(), 1);
    (void)poller.wait(std::chrono::steady_clock::now() + 10s);
    CHECK(socket.read(into).bytes == 3);
    (void)poller.wait(std::chrono::steady_clock::now() + 10s);
    CHECK(socket.read(into).kind == ReadOutcome::Kind::finished);
  }
  CHECK(client.ending() == LoopbackClient::Ending::reset);
}

TEST_CASE("a_wake_before_the_wait_is_not_lost") {
  EventPoller poller;
  poller.wake();
  const auto before = std::chrono::steady_clock::now();
  CHECK(poller.wait(before + 60s).empty());
  CHECK(std::chrono::steady_clock::now() - before < 30s);
}

TEST_CASE("what_is_written_arrives_and_a_full_peer_is_waited_for_by_the_poller") {
  auto listener = TcpListener::listen("127.0.0.1", 0);
  REQUIRE(listener);
  LoopbackClient client(listener->port());
  TcpSocket socket = accept_one(*listener);
  const std::string_view first = "ab";
  const std::string_view second = "cde";
  const std::array<std::span<const std::byte>, 2> parts{std::as_bytes(std::span(first)),
                                                        std::as_bytes(std::span(second))};
  const WriteOutcome both = socket.write(parts);
  CHECK(both.kind == WriteOutcome::Kind::bytes);
  CHECK(both.bytes == 5);
  CHECK(client.receive(5) == "abcde");

  EventPoller poller;
  poller.add(socket.fd(), 1);
  poller.want(socket.fd(), 1, {.writes = true});
  auto events = poller.wait(std::chrono::steady_clock::now() + 10s);
  REQUIRE(events.size() == 1);
  CHECK(events[0].writable);
  CHECK_FALSE(events[0].readable);

  // Until not only this moment has no room: the peer's kernel takes a while to be full.
  const std::vector<std::byte> much(1 << 20);
  std::size_t written = 0;
  do {
    WriteOutcome outcome = socket.write(much);
    for (; outcome.kind == WriteOutcome::Kind::bytes; outcome = socket.write(much)) {
      written += outcome.bytes;
    }
    REQUIRE(outcome.kind == WriteOutcome::Kind::would_block);
    poller.wake();
  } while (!poller.wait(std::chrono::steady_clock::now() + 10s).empty());
  CHECK(client.receive(written).size() == written);
  events = poller.wait(std::chrono::steady_clock::now() + 10s);
  REQUIRE(events.size() == 1);
  CHECK(events[0].writable);

  client.send("x");
  poller.want(socket.fd(), 1, {.reads = true});
  events = poller.wait(std::chrono::steady_clock::now() + 10s);
  REQUIRE(events.size() == 1);
  CHECK(events[0].readable);
  CHECK_FALSE(events[0].writable);
}

TEST_CASE("a_write_to_a_peer_that_is_gone_is_a_reset_and_no_signal") {
  auto listener = TcpListener::listen("127.0.0.1", 0);
  REQUIRE(listener);
  LoopbackClient client(listener->port());
  TcpSocket socket = accept_one(*listener);
  client.reset();
  EventPoller poller;
  poller.add(socket.fd(), 1);
  (void)poller.wait(std::chrono::steady_clock::now() + 10s);
  const std::array<std::byte, 1> byte{};
  CHECK(socket.write(byte).kind == WriteOutcome::Kind::reset);
  CHECK(socket.write(byte).kind == WriteOutcome::Kind::reset);  // EPIPE
}
