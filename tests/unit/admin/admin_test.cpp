#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <atomic>
#include <csignal>
#include <nlohmann/json.hpp>

#include "common/admin/admin_server.h"
#include "common/admin/live_page.h"
#include "common/platform/unique_fd.h"

using namespace sluice;

namespace {

bool holds(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// Everything that the server answers to `request`, until it closes; waits at most 20 s.
std::string answer_to(std::uint16_t port, std::string_view request) {
  const UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval limit{20, 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) ==
          0);
  (void)::send(socket.get(), request.data(), request.size(), MSG_NOSIGNAL);
  std::string answer;
  char part[4096];
  for (;;) {
    const ssize_t got = ::recv(socket.get(), part, sizeof part, 0);
    if (got <= 0) {
      return answer;
    }
    answer.append(part, static_cast<std::size_t>(got));
  }
}

std::string get(std::uint16_t port, const std::string& path) {
  return answer_to(port, "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
}

struct Running {
  Conditions conditions;
  Reports reports;
  std::unique_ptr<AdminServer> server;

  void start() {
    auto started = AdminServer::start({"127.0.0.1", 0}, reports, conditions);
    REQUIRE(started);
    server = std::move(*started);
  }
};

}  // namespace

TEST_CASE("metrics_have_help_type_and_labels_once_a_family") {
  MetricsPage page;
  page.counter("sluice_events_total", "Events.", {{"stream", "xml"}}, 3);
  page.gauge("sluice_queue_items", "Items.", {{"queue", "a\"b"}}, 1);
  page.counter("sluice_events_total", "Events.", {{"stream", "logs"}}, 4);
  CHECK(page.text() ==
        "# HELP sluice_events_total Events.\n"
        "# TYPE sluice_events_total counter\n"
        "sluice_events_total{stream=\"xml\"} 3\n"
        "sluice_events_total{stream=\"logs\"} 4\n"
        "# HELP sluice_queue_items Items.\n"
        "# TYPE sluice_queue_items gauge\n"
        "sluice_queue_items{queue=\"a\\\"b\"} 1\n");
}

TEST_CASE("a_counter_of_terabytes_loses_no_byte") {
  MetricsPage page;
  page.counter("sluice_bytes_total", "Bytes.", {}, 12345678901234.0);
  CHECK(holds(page.text(), "sluice_bytes_total 12345678901234\n"));
}

TEST_CASE("each_path_is_served_over_a_socket") {
  Running running;
  std::atomic<int> scrapes{0};
  running.reports.add_metrics(
      [&](MetricsPage& page) { page.counter("sluice_scrapes_total", "Scrapes.", {}, ++scrapes); });
  running.reports.add_section("version", [] { return nlohmann::json("1.2.3"); });
  running.reports.add_section("numbers", [] { return nlohmann::json{{"n", 7}}; });
  running.start();
  const std::uint16_t port = running.server->port();
  REQUIRE(port != 0);
  CHECK(holds(get(port, "/health"), "HTTP/1.1 200 OK\r\n"));
  CHECK(get(port, "/health").ends_with("\r\n\r\nok\n"));
  CHECK(holds(get(port, "/metrics"), "sluice_scrapes_total 1\n"));
  CHECK(holds(get(port, "/metrics"), "sluice_scrapes_total 2\n"));
  const std::string status = get(port, "/status");
  CHECK(holds(status, "Content-Type: application/json\r\n"));
  const auto parsed = nlohmann::json::parse(status.substr(status.find("\r\n\r\n") + 4));
  CHECK(parsed["version"] == "1.2.3");
  CHECK(parsed["numbers"]["n"] == 7);
  const std::string page = get(port, "/");
  CHECK(holds(page, "Content-Security-Policy: default-src 'none'"));
  CHECK(page.ends_with(kLivePage));
  CHECK(holds(get(port, "/../etc/passwd"), "HTTP/1.1 404 Not Found\r\n"));
  CHECK(holds(get(port, "/status/"), "HTTP/1.1 404 Not Found\r\n"));
}

TEST_CASE("ready_says_what_is_wrong_and_alarms_alone_keep_it_ready") {
  Running running;
  running.start();
  const std::uint16_t port = running.server->port();
  CHECK(holds(get(port, "/ready"), "HTTP/1.1 200 OK\r\n"));
  running.conditions.raise("quarantine.growing", Conditions::Severity::alarm, "half is rejected");
  CHECK(holds(get(port, "/ready"), "HTTP/1.1 200 OK\r\n"));
  running.conditions.raise("spool.disk_full", Conditions::Severity::not_ready, "the disk is full");
  const std::string answer = get(port, "/ready");
  CHECK(holds(answer, "HTTP/1.1 503 Service Unavailable\r\n"));
  CHECK(holds(answer, "spool.disk_full: the disk is full\n"));
  CHECK(holds(answer, "quarantine.growing: half is rejected\n"));
  running.conditions.clear("spool.disk_full");
  CHECK(holds(get(port, "/ready"), "HTTP/1.1 200 OK\r\n"));
}

TEST_CASE("what_a_part_raises_stands_in_the_whole_under_its_scope") {
  Conditions all;
  Conditions logs(all, "logs.");
  all.raise("spool.disk_full", Conditions::Severity::alarm, "the disk is full");
  logs.raise("spool.disk_full", Conditions::Severity::not_ready, "the other disk is full");
  CHECK_FALSE(all.ready());
  CHECK_FALSE(logs.ready());
  REQUIRE(all.current().size() == 2);
  CHECK(logs.current().size() == 2);
  CHECK(all.current().front().name == "logs.spool.disk_full");
  logs.clear("spool.disk_full");
  REQUIRE(all.current().size() == 1);
  CHECK(all.current().front().message == "the disk is full");
  CHECK(all.ready());
}

TEST_CASE("c4_only_get_is_served_and_requests_are_bounded") {
  Running running;
  running.start();
  const std::uint16_t port = running.server->port();
  for (const std::string method : {"POST", "PUT", "DELETE", "HEAD", "OPTIONS"}) {
    CAPTURE(method);
    const std::string answer = answer_to(
        port, method + " /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
    CHECK(holds(answer, "HTTP/1.1 405 Method Not Allowed\r\n"));
    CHECK(holds(answer, "Allow: GET\r\n"));
  }
  const std::string long_answer = answer_to(
      port, "GET /health HTTP/1.1\r\nHost: " + std::string(64UL * 1024, 'x') + "\r\n\r\n");
  CHECK_FALSE(holds(long_answer, "200 OK"));
  CHECK_FALSE(holds(answer_to(port, "EHLO\r\n\r\n"), "200 OK"));
  CHECK(holds(get(port, "/health"), "200 OK"));
}

TEST_CASE("a_taken_port_is_named_with_what_to_do") {
  Running running;
  running.start();
  const auto second = AdminServer::start({"127.0.0.1", running.server->port()}, running.reports,
                                         running.conditions);
  REQUIRE_FALSE(second);
  CHECK(holds(second.error().message, "127.0.0.1:" + std::to_string(running.server->port())));
  CHECK(holds(second.error().message, "ADMIN_PORT"));
  CHECK(holds(get(running.server->port(), "/health"), "200 OK"));
  const auto nowhere = AdminServer::start({"203.0.113.1", 0}, running.reports, running.conditions);
  REQUIRE_FALSE(nowhere);
  CHECK(holds(nowhere.error().message, "203.0.113.1:0"));
}

TEST_CASE("c4_a_client_that_sends_half_a_request_keeps_nobody_else_waiting") {
  Running running;
  running.start();
  const UniqueFd idle(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(running.server->port());
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::connect(idle.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  (void)::send(idle.get(), "GET /hea", 8, MSG_NOSIGNAL);
  CHECK(holds(get(running.server->port(), "/health"), "200 OK"));
}

TEST_CASE("the_server_leaves_every_signal_but_sigpipe_alone") {
  struct sigaction before[32];
  for (int signal = 1; signal < 32; ++signal) {
    ::sigaction(signal, nullptr, &before[signal]);
  }
  sigset_t mask_before;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &mask_before);
  {
    Running running;
    running.start();
    CHECK(holds(get(running.server->port(), "/health"), "200 OK"));
  }
  for (int signal = 1; signal < 32; ++signal) {
    struct sigaction after {};
    ::sigaction(signal, nullptr, &after);
    CAPTURE(signal);
    CHECK((signal == SIGPIPE || after.sa_handler == before[signal].sa_handler));
  }
  sigset_t mask_after;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &mask_after);
  for (int signal = 1; signal < 32; ++signal) {
    CHECK(::sigismember(&mask_after, signal) == ::sigismember(&mask_before, signal));
  }
}
