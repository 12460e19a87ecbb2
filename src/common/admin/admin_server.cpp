#include "common/admin/admin_server.h"

#include <civetweb.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <exception>
#include <future>

#include "common/admin/live_page.h"
#include "common/log/log.h"
#include "common/net/socket_address.h"
#include "common/net/tcp_listener.h"
#include "common/platform/unique_fd.h"

namespace sluice {

namespace {

constexpr std::string_view kJson = "application/json";
// Prometheus's exposition format 0.0.4.
constexpr std::string_view kMetrics = "text/plain; version=0.0.4; charset=utf-8";
constexpr std::string_view kHtml = "text/html; charset=utf-8";

std::string_view reason_phrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 500:
      return "Internal Server Error";
    default:
      return "Service Unavailable";
  }
}

std::string listening_address(const AdminServer::Options& options) {
  const bool bare_v6 =
      options.host.find(':') != std::string::npos && !options.host.starts_with('[');
  const std::string host = options.host == "localhost" ? "127.0.0.1" : options.host;
  return (bare_v6 ? "[" + host + "]" : host) + ":" + std::to_string(options.port);
}

// Why an address cannot be bound: civetweb keeps no errno.
std::string bind_failure(const AdminServer::Options& options) {
  const auto listener = TcpListener::listen(options.host, options.port);
  return listener ? "the server did not start" : listener.error().message;
}

// Ends a server. civetweb's acceptor looks at its stop flag only every two seconds, or when a
// connection comes: so one comes.
void stop_at_once(mg_context* context, const AdminServer::Options& options) {
  const auto own = resolve(options.host, options.port);
  auto stopping = std::async(std::launch::async, [context] { mg_stop(context); });
  while (stopping.wait_for(std::chrono::milliseconds(10)) != std::future_status::ready) {
    if (own) {
      const SocketAddress& address = own->front();
      const auto* const peer = reinterpret_cast<const sockaddr*>(&address.storage);
      const UniqueFd knock(
          ::socket(peer->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
      (void)::connect(knock.get(), peer, address.bytes);
    }
  }
}

}  // namespace

struct AdminServer::Server {
  mg_context* context = nullptr;
  Options options;  // with the port that it got
  ~Server() {
    if (context != nullptr) {
      stop_at_once(context, options);
      mg_exit_library();
    }
  }
};

namespace {

void send(mg_connection* connection, const AdminServer::Answer& answer) {
  // The page is one file: nothing may be loaded from elsewhere.
  std::string head = "HTTP/1.1 " + std::to_string(answer.status) + " " +
                     std::string(reason_phrase(answer.status)) +
                     "\r\nContent-Type: " + answer.content_type +
                     "\r\nContent-Length: " + std::to_string(answer.body.size()) +
                     "\r\nConnection: close\r\nCache-Control: no-store"
                     "\r\nX-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY"
                     "\r\nReferrer-Policy: no-referrer"
                     "\r\nContent-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; "
                     "script-src 'unsafe-inline'; connect-src 'self'; img-src data:";
  if (answer.status == 405) {
    head += "\r\nAllow: GET";
  }
  head += "\r\n\r\n" + answer.body;
  mg_write(connection, head.data(), head.size());
}

int begin_request(mg_connection* connection) {
  const mg_request_info* request = mg_get_request_info(connection);
  const auto* server =
      static_cast<const AdminServer*>(mg_get_user_data(mg_get_context(connection)));
  AdminServer::Answer answer;
  try {
    answer = server->answer(request->request_method, request->local_uri);
  } catch (const std::exception&) {
    // Above us is a C library: nothing may be thrown through it.
    answer = {500, "text/plain; charset=utf-8", "out of memory\n"};
  }
  send(connection, answer);
  return answer.status;
}

int on_message(const mg_connection* /*connection*/, const char* message) {
  log::limited(log::Level::debug, "admin server", {{"message", message}});
  return 1;
}

}  // namespace

AdminServer::AdminServer(const Reports& reports, const Conditions& conditions)
    : reports_(reports), conditions_(conditions), server_(std::make_unique<Server>()) {}

AdminServer::~AdminServer() = default;

Result<std::unique_ptr<AdminServer>> AdminServer::start(const Options& options,
                                                        const Reports& reports,
                                                        const Conditions& conditions) {
  std::unique_ptr<AdminServer> server(new AdminServer(reports, conditions));
  const std::string address = listening_address(options);
  // Everything is bounded: threads, waiting connections, bytes of a request, time.
  const std::array<const char*, 17> settings{"listening_ports",
                                             address.c_str(),
                                             "num_threads",
                                             "4",
                                             "connection_queue",
                                             "16",
                                             "max_request_size",
                                             "8192",
                                             "request_timeout_ms",
                                             "5000",
                                             "linger_timeout_ms",
                                             "1000",
                                             "enable_keep_alive",
                                             "no",
                                             "tcp_nodelay",
                                             "1",
                                             nullptr};
  mg_callbacks callbacks{};
  callbacks.begin_request = begin_request;
  callbacks.log_message = on_message;
  mg_init_library(0);
  server->server_->context =
      mg_start(&callbacks, server.get(), const_cast<const char**>(settings.data()));
  if (server->server_->context == nullptr) {
    mg_exit_library();
    return fatal("the admin server (ADMIN_HOST, ADMIN_PORT): " + bind_failure(options));
  }
  mg_server_port port{};
  if (mg_get_server_ports(server->server_->context, 1, &port) == 1) {
    server->port_ = static_cast<std::uint16_t>(port.port);
  }
  server->server_->options = {options.host, server->port_};
  return server;
}

AdminServer::Answer AdminServer::answer(std::string_view method, std::string_view path) const {
  Answer answer;
  if (method != "GET") {
    answer.status = 405;
    answer.body = "only GET is served\n";
  } else if (path == "/health") {
    answer.body = "ok\n";
  } else if (path == "/ready") {
    answer.status = conditions_.ready() ? 200 : 503;
    answer.body = answer.status == 200 ? "ready\n" : "not ready\n";
    for (const Conditions::Condition& condition : conditions_.current()) {
      answer.body += condition.name + ": " + condition.message + "\n";
    }
  } else if (path == "/metrics") {
    answer.content_type = kMetrics;
    answer.body = reports_.metrics_text();
  } else if (path == "/status") {
    answer.content_type = kJson;
    answer.body = reports_.status_text();
  } else if (path == "/") {
    answer.content_type = kHtml;
    answer.body = kLivePage;
  } else {
    answer.status = 404;
    answer.body = "there are /, /health, /ready, /metrics and /status\n";
  }
  return answer;
}

}  // namespace sluice
