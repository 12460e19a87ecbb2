#include "options.h"

#include <CLI/CLI.hpp>
#include <map>
#include <random>

namespace sluice::load {
namespace {

constexpr int kExitUsage = 2;
constexpr std::uint64_t kCountDefault = 1000;

const std::map<std::string, EventType> kTypes = {{"random", EventType::random},
                                                 {"alarm", EventType::alarm},
                                                 {"access_granted", EventType::access_granted},
                                                 {"access_denied", EventType::access_denied}};
const std::map<std::string, Declarations> kDeclarations = {{"always", Declarations::always},
                                                           {"never", Declarations::never},
                                                           {"mixed", Declarations::mixed}};
const std::map<std::string, Separator> kSeparators = {{"none", Separator::none},
                                                      {"lf", Separator::lf},
                                                      {"crlf", Separator::crlf},
                                                      {"mixed", Separator::mixed}};

const std::map<std::string, Protocol> kProtocols = {
    {"xml", Protocol::xml}, {"logs", Protocol::logs}, {"rpc", Protocol::rpc}};
const std::map<std::string, LineLevel> kLevels = {{"DEBUG", LineLevel::debug},
                                                  {"INFO", LineLevel::info},
                                                  {"WARNING", LineLevel::warning},
                                                  {"ERROR", LineLevel::error},
                                                  {"CRITICAL", LineLevel::critical}};

// What is given as text or as a number and turned into options after parsing.
struct Given {
  std::uint64_t count = kCountDefault;
  double interval_seconds = 0;
  double seconds = 0;
  double fin_timeout_seconds = 60;
  std::string protocol = "xml";
  std::string level_min = "INFO";
  std::string type = "random";
  std::string declarations = "always";
  std::string separator = "lf";
  std::string cut = "none";
};

template <class T>
CLI::IsMember one_of(const std::map<std::string, T>& names) {
  return CLI::IsMember(names);
}

void add_options(CLI::App& app, Options& options, Given& given) {
  app.add_option("--host", options.host, "where Sluice listens")->capture_default_str();
  app.add_option("--port", options.port, "its port (8080, of logs 9000, of rpc 7000)");
  app.add_option("--connections", options.connections, "connections at a time")
      ->check(CLI::Range(1U, 60000U))
      ->capture_default_str();
  app.add_option("--count", given.count,
                 "events, lines or requests in all (1000 unless --seconds is given)");
  app.add_option("--seconds", given.seconds, "stop after so long")->check(CLI::PositiveNumber);
  app.add_option("--rate", options.rate, "events a second in all; 0: flat out")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--interval", given.interval_seconds, "seconds between two events (or bursts)")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--burst", options.burst,
                 "events at once, an interval apart; without a number: all at once")
      ->expected(0, 1)
      ->default_str("0");
  app.add_option("--type", given.type, "kind of event")
      ->check(one_of(kTypes))
      ->capture_default_str();
  app.add_option("--declarations", given.declarations, "an XML declaration before each event")
      ->check(one_of(kDeclarations))
      ->capture_default_str();
  app.add_option("--separator", given.separator, "bytes between two events")
      ->check(one_of(kSeparators))
      ->capture_default_str();
  app.add_option("--malformed", options.malformed, "share of malformed events, 0 to 1")
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("--cut", given.cut, "sizes of the writes")
      ->check(CLI::IsMember({"none", "random"}))
      ->capture_default_str();
  app.add_option("--seed", options.seed, "makes the same events again; 0: a random one")
      ->capture_default_str();
  app.add_option("--file", options.file, "send this file as it is, instead of events")
      ->check(CLI::ExistingFile);
  app.add_option("--repeat", options.repeat, "how often each connection sends the file")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--record", options.record,

                 "JSON lines: each event handed to the socket (of logs and rpc: each that was "
                 "answered), each connection's end");
  app.add_flag("--reconnect", options.reconnect, "after an error go on over a new connection");
  app.add_option("--fin-timeout", given.fin_timeout_seconds,
                 "seconds to wait for the server's FIN after the last byte, or for an answer")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_flag("--quiet", options.quiet, "no progress bar");
  app.add_flag("--json", options.json, "the summary as a JSON object");
}

void add_protocol_options(CLI::App& app, Options& options, Given& given) {
  app.add_option("--protocol", given.protocol,
                 "XML events, or log lines or echo and add requests and their answers")
      ->check(one_of(kProtocols))
      ->capture_default_str();
  app.add_option("--pipeline", options.pipeline,
                 "of logs and rpc: how many of a connection wait for their answers at a time")
      ->check(CLI::Range(1U, 1'000'000U))
      ->capture_default_str();
  app.add_option("--min-level", given.level_min,
                 "of logs: the server's MIN_LOG_LEVEL; lines below it have to be answered filtered")
      ->check(one_of(kLevels))
      ->capture_default_str();
  auto* tls = app.add_flag("--tls", options.tls, "over TLS; the server's certificate is checked");
  app.add_option("--tls-ca", options.tls_ca,
                 "PEM file with the authorities of the server's certificate (the system's)")
      ->check(CLI::ExistingFile)
      ->needs(tls);
  auto* cert = app.add_option("--tls-cert", options.tls_cert, "PEM file with our own certificate")
                   ->check(CLI::ExistingFile)
                   ->needs(tls);
  auto* key = app.add_option("--tls-key", options.tls_key, "PEM file with its key")
                  ->check(CLI::ExistingFile)
                  ->needs(cert);
  cert->needs(key);
  app.add_option("--token", options.token,
                 "of logs: file whose first line is the token that each connection begins with")
      ->check(CLI::ExistingFile)
      ->needs(tls);
}

// What is given and means nothing with the protocol; "" where all fits.
std::string complaint(const CLI::App& app, const Given& given, Protocol protocol) {
  const auto given_of = [&app](std::initializer_list<const char*> names) {
    for (const char* name : names) {
      if (app.count(name) > 0) {
        return std::string(name) + " means nothing with --protocol ";
      }
    }
    return std::string();
  };
  switch (protocol) {
    case Protocol::xml:
      return given_of({"--pipeline", "--min-level", "--token"});
    case Protocol::logs:
      if (given.separator == "none") {
        return "--separator none means nothing with --protocol ";
      }
      return given_of({"--type", "--declarations", "--file", "--repeat"});
    case Protocol::rpc:
      return given_of({"--type", "--declarations", "--file", "--repeat", "--min-level", "--token",
                       "--separator", "--malformed"});
  }
  return {};
}

std::uint16_t default_port(Protocol protocol) {
  constexpr std::uint16_t kXml = 8080;
  constexpr std::uint16_t kLogs = 9000;
  constexpr std::uint16_t kRpc = 7000;
  return protocol == Protocol::xml ? kXml : protocol == Protocol::logs ? kLogs : kRpc;
}

}  // namespace

std::optional<int> parse_options(int argc, char** argv, Options& options) {
  CLI::App app{
      "Sends access-control events as XML, log lines or rpc requests over TCP or TLS; says what "
      "the\n"
      "server acknowledged.\n"
      "Exit: 0 every connection was closed by the server's FIN and every answer was as expected,\n"
      "1 not every one, 2 bad usage."};
  Given given;
  add_options(app, options, given);
  add_protocol_options(app, options, given);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  if (given.interval_seconds > 0 && options.rate > 0) {
    std::fputs("--rate and --interval exclude each other\n", stderr);
    return kExitUsage;
  }
  options.protocol = kProtocols.at(given.protocol);
  if (const std::string wrong = complaint(app, given, options.protocol); !wrong.empty()) {
    std::fprintf(stderr, "%s%s\n", wrong.c_str(), given.protocol.c_str());
    return kExitUsage;
  }
  if (app.count("--port") == 0) {
    options.port = default_port(options.protocol);
  }
  options.level_min = kLevels.at(given.level_min);
  options.type = kTypes.at(given.type);
  options.declarations = kDeclarations.at(given.declarations);
  options.separator = kSeparators.at(given.separator);
  options.cut_random = given.cut == "random";
  options.fin_timeout = std::chrono::duration<double>(given.fin_timeout_seconds);
  if (app.count("--seconds") > 0) {
    options.seconds = std::chrono::duration<double>(given.seconds);
  }
  if (app.count("--count") > 0 || !options.seconds) {
    options.count = given.count;
  }
  const bool all_at_once = app.count("--burst") > 0 && options.burst == 0;
  if (options.burst == 0) {
    options.burst = 1;
  }
  if (given.interval_seconds > 0 && !all_at_once) {
    options.rate = static_cast<double>(options.burst) / given.interval_seconds;
  }
  while (options.seed == 0) {
    options.seed = std::random_device{}() | static_cast<std::uint64_t>(std::random_device{}())
                                                << 32;
  }
  return std::nullopt;
}

}  // namespace sluice::load
