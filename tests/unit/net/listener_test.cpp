#include <doctest/doctest.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "common/net/event_poller.h"
#include "common/net/listen_all.h"
#include "common/net/tcp_listener.h"
#include "loopback_client.h"
#include "scratch_directory.h"

using namespace sluice;
using namespace std::chrono_literals;

namespace {

Result<std::vector<TcpListener>> listen_on(std::string_view hosts, std::uint16_t port = 0) {
  PassedSockets none;
  return listen_all(hosts, port, none);
}

std::string complaint(std::string_view hosts, std::uint16_t port = 0) {
  const auto listeners = listen_on(hosts, port);
  return listeners ? "" : listeners.error().message;
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TcpListener::Accepted accept_one(TcpListener& listener) {
  EventPoller poller;
  poller.add(listener.fd(), 1);
  (void)poller.wait(std::chrono::steady_clock::now() + 10s);
  auto outcome = listener.accept({});
  REQUIRE(std::holds_alternative<TcpListener::Accepted>(outcome));
  return std::move(std::get<TcpListener::Accepted>(outcome));
}

UniqueFd connect_unix(const std::filesystem::path& path) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  const int result =
      ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  return result == 0 ? std::move(fd) : UniqueFd();
}

UniqueFd connect_v6(std::uint16_t port) {
  UniqueFd fd(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(port);
  address.sin6_addr = in6addr_loopback;
  const int result =
      ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  return result == 0 ? std::move(fd) : UniqueFd();
}

bool machine_has_ipv6() { return TcpListener::listen("::1", 0).ok(); }

int option_of(int fd, int level, int option) {
  int value = 0;
  socklen_t length = sizeof value;
  REQUIRE(::getsockopt(fd, level, option, &value, &length) == 0);
  return value;
}

}  // namespace

TEST_CASE("all_of_ipv4_and_all_of_ipv6_listen_side_by_side_on_one_port") {
  if (!machine_has_ipv6()) {
    MESSAGE("no IPv6 here");
    return;
  }
  for (const std::string_view hosts : {"0.0.0.0,::", " [::] , 0.0.0.0 "}) {
    auto listeners = listen_on(hosts);
    REQUIRE(listeners);
    REQUIRE(listeners->size() == 2);
    TcpListener& v4 = (*listeners)[hosts.front() == '0' ? 0 : 1];
    TcpListener& v6 = (*listeners)[hosts.front() == '0' ? 1 : 0];
    CHECK(v4.port() != 0);
    CHECK(v4.port() == v6.port());
    CHECK(v4.address() == "0.0.0.0:" + std::to_string(v4.port()));
    CHECK(v6.address() == "[::]:" + std::to_string(v6.port()));
    const LoopbackClient client(v4.port());
    CHECK(ip_to_string(accept_one(v4).peer) == "127.0.0.1");
    const UniqueFd client_v6 = connect_v6(v6.port());
    REQUIRE(client_v6.valid());
    CHECK(ip_to_string(accept_one(v6).peer) == "::1");
  }
}

TEST_CASE("a_name_listens_on_all_its_addresses_with_one_port") {
  const auto listeners = listen_on("localhost");
  REQUIRE(listeners);
  for (const TcpListener& listener : *listeners) {
    CHECK(listener.port() == listeners->front().port());
  }
  const LoopbackClient client(listeners->front().port());
}

TEST_CASE("addresses_that_cannot_be_had_are_named_with_what_to_do") {
  const auto taken = TcpListener::listen("127.0.0.1", 0);
  REQUIRE(taken);
  const std::string port = std::to_string(taken->port());
  CHECK(has(complaint("127.0.0.1", taken->port()), "127.0.0.1:" + port));
  CHECK(has(complaint("127.0.0.1", taken->port()), "another process"));
  const std::string covered = complaint("127.0.0.2,0.0.0.0");
  CHECK(has(covered, "listen on 0.0.0.0:"));
  CHECK(has(covered, "an earlier address of the list"));
  CHECK(has(complaint("192.0.2.1"), "no such address"));
  CHECK(has(complaint("no such host"), "no such host:0"));
  for (const std::string_view hosts : {"", ",", "127.0.0.1,", "127.0.0.1,,::1"}) {
    CAPTURE(hosts);
    CHECK(has(complaint(hosts), "an address is missing"));
  }
  std::string many = "127.0.0.1";
  for (std::size_t i = 0; i < kListenAddressesMax; ++i) {
    many += ",127.0.0.1";
  }
  CHECK(has(complaint(many), "more than 64"));
}

TEST_CASE("a_unix_socket_takes_local_peers_and_goes_with_its_listener") {
  const ScratchDirectory directory;
  const auto path = directory.path() / "xml.sock";
  {
    auto listeners = listen_on("unix:" + path.string() + ",127.0.0.1");
    REQUIRE(listeners);
    REQUIRE(listeners->size() == 2);
    TcpListener listener = std::move((*listeners)[1]);
    CHECK(listener.address() == "unix:" + path.string());
    CHECK(listener.port() == 0);
    struct stat there {};
    REQUIRE(::stat(path.c_str(), &there) == 0);
    CHECK((there.st_mode & 07777U) == 0660);
    const UniqueFd client = connect_unix(path);
    REQUIRE(client.valid());
    auto accepted = accept_one(listener);
    CHECK(is_unix(accepted.peer));
    CHECK(accepted.peer == kUnixPeer);
    CHECK(option_of(accepted.socket.fd(), SOL_SOCKET, SO_KEEPALIVE) == 0);
    REQUIRE(::send(client.get(), "abc", 3, MSG_NOSIGNAL) == 3);
    std::array<std::byte, 16> into{};
    CHECK(accepted.socket.read(into).bytes == 3);
    CHECK(accepted.socket.write(into).bytes == 16);
  }
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("a_unix_socket_left_behind_is_replaced_and_one_in_use_is_not") {
  const ScratchDirectory directory;
  const auto path = directory.path() / "xml.sock";
  const std::string hosts = "unix:" + path.string();
  {
    // As a process that was killed leaves it.
    const UniqueFd dead(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    auto made = UnixSocketFile::listen(dead.get(), path.string(), 1);
    REQUIRE(made);
    std::filesystem::rename(path, directory.path() / "kept");
  }
  std::filesystem::rename(directory.path() / "kept", path);
  REQUIRE(std::filesystem::is_socket(path));
  CHECK_FALSE(connect_unix(path).valid());
  auto listeners = listen_on(hosts);
  REQUIRE(listeners);
  CHECK(connect_unix(path).valid());
  CHECK(has(complaint(hosts), "another process listens there"));
  CHECK(connect_unix(path).valid());
}

TEST_CASE("a_unix_socket_removes_nothing_that_is_not_its_own") {
  const ScratchDirectory directory;
  const auto path = directory.path() / "xml.sock";
  const std::string hosts = "unix:" + path.string();
  std::ofstream(path) << "a file";
  CHECK(has(complaint(hosts), "something else than a socket is there"));
  CHECK(std::filesystem::file_size(path) == 6);
  std::filesystem::remove(path);
  {
    auto first = listen_on(hosts);
    REQUIRE(first);
    std::filesystem::remove(path);
    auto successor = listen_on(hosts);
    REQUIRE(successor);
    first = fatal("gone");
    CHECK(connect_unix(path).valid());
    // Nor does a process that was forked off.
    const pid_t child = ::fork();
    if (child == 0) {
      successor->clear();
      ::_exit(0);
    }
    REQUIRE(::waitpid(child, nullptr, 0) == child);
    CHECK(connect_unix(path).valid());
  }
  CHECK_FALSE(std::filesystem::exists(path));
  CHECK(has(complaint("unix:relative.sock"), "must begin with /"));
  CHECK(has(complaint("unix:/" + std::string(107, 'x')), "at most 107 bytes"));
  CHECK(has(complaint(hosts + "/below/xml.sock"), "make its directory"));
}

TEST_CASE("keepalive_finds_dead_tcp_peers") {
  auto listeners = listen_on("127.0.0.1");
  REQUIRE(listeners);
  const LoopbackClient client(listeners->front().port());
  const auto accepted = accept_one(listeners->front());
  CHECK(option_of(accepted.socket.fd(), SOL_SOCKET, SO_KEEPALIVE) == 1);
  CHECK(option_of(accepted.socket.fd(), IPPROTO_TCP, TCP_KEEPIDLE) == 60);
  CHECK(option_of(accepted.socket.fd(), IPPROTO_TCP, TCP_USER_TIMEOUT) == 90'000);
}

TEST_CASE("a_reply_does_not_wait_for_the_acknowledgement_of_the_one_before_it") {
  auto listeners = listen_on("127.0.0.1");
  REQUIRE(listeners);
  const LoopbackClient client(listeners->front().port());
  const auto accepted = accept_one(listeners->front());
  CHECK(option_of(accepted.socket.fd(), IPPROTO_TCP, TCP_NODELAY) == 1);
}

TEST_CASE("sockets_that_systemd_passes_are_taken_by_name_and_once") {
  auto first = TcpListener::listen("127.0.0.1", 0);
  auto second = TcpListener::listen("127.0.0.1", 0);
  REQUIRE(first);
  REQUIRE(second);
  std::vector<PassedSockets::Passed> list;
  list.push_back({"xml", UniqueFd(::dup(first->fd()))});
  list.push_back({"logs", UniqueFd(::dup(second->fd()))});
  list.push_back({"xml", UniqueFd(::dup(second->fd()))});
  list.push_back({"datagrams", UniqueFd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0))});
  PassedSockets passed(std::move(list));
  auto xml = listen_all("systemd:xml", 0, passed);
  REQUIRE(xml);
  REQUIRE(xml->size() == 2);
  CHECK((*xml)[0].address() == first->address());
  CHECK((*xml)[1].address() == second->address());
  const LoopbackClient client(first->port());
  CHECK(ip_to_string(accept_one((*xml)[0]).peer) == "127.0.0.1");

  const auto again = listen_all("systemd:xml", 0, passed);
  REQUIRE_FALSE(again);
  CHECK(has(again.error().message, "no such socket (there are: logs, datagrams"));
  const auto no_stream = listen_all("systemd:datagrams", 0, passed);
  REQUIRE_FALSE(no_stream);
  CHECK(has(no_stream.error().message, "Accept=no"));
  const auto rest = listen_all("systemd", 0, passed);
  REQUIRE(rest);
  CHECK(rest->size() == 1);
  const auto none = listen_all("systemd", 0, passed);
  REQUIRE_FALSE(none);
  CHECK(has(none.error().message, "none is left"));
}

// In a process of its own: the descriptors begin at 3.
TEST_CASE("what_the_environment_says_is_passed_only_to_the_process_that_it_names") {
  auto listener = TcpListener::listen("127.0.0.1", 0);
  REQUIRE(listener);
  for (const bool named : {true, false}) {
    const pid_t child = ::fork();
    if (child == 0) {
      const int fd = ::fcntl(listener->fd(), F_DUPFD, 10);
      ::dup2(fd, 3);
      // NOLINTBEGIN(concurrency-mt-unsafe): this process has one thread.
      ::setenv("LISTEN_PID", std::to_string(::getpid() + (named ? 0 : 1)).c_str(), 1);
      ::setenv("LISTEN_FDS", "1", 1);
      ::setenv("LISTEN_FDNAMES", "feed", 1);
      auto passed = PassedSockets::from_environment();
      const bool gone = std::getenv("LISTEN_FDS") == nullptr;
      // NOLINTEND(concurrency-mt-unsafe)
      if (!named) {
        ::_exit(passed && passed->names().empty() ? 0 : 1);
      }
      auto listeners = listen_all("systemd:feed", 0, *passed);
      ::_exit(gone && listeners && (*listeners)[0].port() == listener->port() &&
                      (::fcntl(3, F_GETFD) & FD_CLOEXEC) != 0
                  ? 0
                  : 1);
    }
    int status = -1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CAPTURE(named);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
  }
}
