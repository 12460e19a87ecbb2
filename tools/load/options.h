// What sluice-load was asked to do.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace sluice::load {

enum class EventType : std::uint8_t { random, alarm, access_granted, access_denied };
enum class Declarations : std::uint8_t { always, never, mixed };
enum class Separator : std::uint8_t { none, lf, crlf, mixed };
enum class Protocol : std::uint8_t { xml, logs, rpc };
enum class LineLevel : std::uint8_t { debug, info, warning, error, critical };

struct Options {
  Protocol protocol = Protocol::xml;
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;  // that of the protocol's default, once parsed
  std::uint32_t connections = 1;

  std::optional<std::uint64_t> count;  // events in all; none: no end but `seconds`
  std::optional<std::chrono::duration<double>> seconds;
  double rate = 0;  // events a second in all; 0: as fast as the server reads
  std::uint64_t burst = 1;

  EventType type = EventType::random;
  Declarations declarations = Declarations::always;
  Separator separator = Separator::lf;
  double malformed = 0;  // share of the events
  bool cut_random = false;
  std::uint64_t seed = 0;

  std::uint64_t pipeline = 64;            // pieces of a connection that may wait for an answer
  LineLevel level_min = LineLevel::info;  // the server's MIN_LOG_LEVEL

  bool tls = false;
  std::string tls_ca;    // files; empty: the system's authorities
  std::string tls_cert;  // empty: none of our own
  std::string tls_key;
  std::string token;  // a file

  std::string file;  // sent as it is, instead of events
  std::uint64_t repeat = 1;

  std::string record;
  bool reconnect = false;
  std::chrono::duration<double> fin_timeout{60};
  bool quiet = false;
  bool json = false;
};

// Fills `options`. Returns an exit code where the program is to end now (help, bad usage), after
// having said why.
std::optional<int> parse_options(int argc, char** argv, Options& options);

}  // namespace sluice::load
