// CurlClient: HTTP requests over libcurl's multi interface, for one thread; with its
// report the only place that knows of libcurl. http and https only; no redirect is followed, no
// netrc, no proxy but the one given, none of the environment; certificates are always verified.
// Every transfer has a deadline, a lowest speed and caps on what it may be answered.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/result.h"
#include "common/base/units.h"

namespace sluice {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

// Reads the body from any offset, as often as it takes: bytes from `begin` on into `into`; fewer
// than asked only at the end.
using HttpBodySource = std::function<std::size_t(std::uint64_t begin, std::span<std::byte> into)>;

struct HttpLimits {
  std::chrono::milliseconds connect_timeout{10'000};
  std::chrono::milliseconds deadline{60'000};  // from start() to the last byte of the answer
  // Slower than this for that long is a failure.
  std::uint32_t low_speed_bytes_per_second = 1024;
  std::chrono::seconds low_speed_time{30};
  std::size_t header_bytes_max = 64 * kKiB;
  std::size_t body_bytes_max = kMiB;
};

struct HttpRequest {
  std::string method = "GET";
  std::string url;
  HttpHeaders headers = {};  // sent as they are, Host included where it is given
  HttpBodySource body = {};  // empty: no body
  std::uint64_t body_bytes = 0;
  bool fresh_connection = false;  // not one that an earlier request left open
  // A kept connection that ends without an answer is tried on a new one, unless the body may be
  // sent only once: then that is a transport error, if any of the body had been sent.
  bool body_sent_once = false;
  bool direct = false;            // not through the client's proxy: a service of this machine
  bool wants_connection = false;  // the answer says what it came by; on a fresh connection only
  HttpLimits limits = {};
};

// How an answer came. Times are from start() on; what did not take place has the time before it.
struct HttpConnection {
  std::string address;  // of the peer: the proxy, where there is one
  std::chrono::microseconds resolved{0};
  std::chrono::microseconds connected{0};
  std::chrono::microseconds secured{0};   // the TLS handshake was done
  std::chrono::microseconds answered{0};  // the first byte was here
  // Of the certificate of the server, where it has one.
  std::optional<WallTime> certificate_expires_at;
};

struct HttpResponse {
  int status = 0;
  HttpHeaders headers;  // names in lower case, values trimmed
  std::string body;
  std::optional<HttpConnection> connection = {};  // where it was asked for
  // The value of the first header with this lower-case name; empty where there is none.
  [[nodiscard]] std::string_view header(std::string_view name) const;
};

struct HttpError {
  enum class Kind : std::uint8_t {
    transport,    // refused, reset, truncated: may pass by itself
    name,         // the DNS does not know the host, or does not answer: may pass by itself
    proxy,        // it refuses to connect us
    timeout,      // a deadline or the lowest speed
    certificate,  // the peer's certificate, or our list of authorities, is bad
    too_large,    // more answer than the caps allow
    malformed,    // the URL or the answer is no HTTP
  };
  Kind kind = Kind::transport;
  std::string message;   // with host and port, never with a header's value
  int proxy_status = 0;  // what the proxy answered, for `proxy`
};

struct HttpOutcome {
  HttpResponse response;           // valid unless there is an error
  std::optional<HttpError> error;  // no complete answer came
};
using HttpCompletion = std::function<void(HttpOutcome)>;

class CurlClient {
 public:
  struct Options {
    std::string ca_file = {};          // PEM, for the proxy too; empty: the system's
    std::string proxy = {};            // "http[s]://[user:password@]host[:port]"; empty: none
    std::size_t connections_max = 64;  // kept open for reuse
    // Not used again once it was idle for longer: the server may be closing it just then. Whole
    // seconds count.
    std::chrono::seconds idle_timeout{15};
    // Nor once it is older: its address may have left the DNS.
    std::chrono::seconds connection_lifetime{300};
    std::chrono::seconds dns_lifetime{30};
    std::string user_agent = "sluice";
    std::uint64_t send_bytes_per_second_max = 0;  // of all bodies together; 0: no limit
  };

  explicit CurlClient(Options options);
  CurlClient(const CurlClient&) = delete;
  CurlClient& operator=(const CurlClient&) = delete;
  // Drops what is in flight without calling completions.
  ~CurlClient();

  // Begins a request; the completion is called inside a later poll(), on its thread.
  void start(HttpRequest request, HttpCompletion completion);
  // Drives transfers. Returns after the first completions, after wake(), or at `until`.
  void poll(MonotonicTime until);
  // Thread-safe and sticky: ends the poll() that runs, or else the next one.
  void wake();
  [[nodiscard]] std::size_t in_flight() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sluice
