#include "common/config/listener_settings.h"

#include <array>

#include "common/config/setting_rules.h"

namespace sluice {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kSecond{1000};
constexpr milliseconds kWeek{std::chrono::days(7)};
constexpr milliseconds kYear{std::chrono::days(366)};

constexpr std::string_view kListening = "Listening";
constexpr std::string_view kAdmission = "Who is let in";
constexpr std::string_view kLogs = "Logs";

constexpr std::array<std::pair<std::string_view, LogLevel>, 5> kLevels{
    {{"DEBUG", LogLevel::debug},
     {"INFO", LogLevel::info},
     {"WARNING", LogLevel::warning},
     {"ERROR", LogLevel::error},
     {"CRITICAL", LogLevel::critical}}};

DurationField seconds(milliseconds Config::*member, milliseconds least) {
  return {member, kSecond, least, kWeek};
}

// NOLINTNEXTLINE(readability-function-size): one line a setting
const auto& table() {
  static const std::array settings{
      Setting{"PROTOCOLS", kListening, TextField{&Config::protocols, protocols_complaint},
              "What is served, of xml, logs and rpc, apart by commas."},
      Setting{"BIND_HOST", kListening, TextField{&Config::bind_host, hosts_complaint},
              "Addresses that the XML listener binds, apart by commas: IPv4, IPv6 (`::` takes no "
              "IPv4), host names, unix:/path for a unix socket, systemd or systemd:NAME for a "
              "socket that systemd passes on."},
      Setting{"PORT", kListening, PortField{&Config::port},
              "Port of the XML listener. 0 takes a free one and prints it."},
      Setting{"SERVER_HOST", kListening, TextField{&Config::server_host, hosts_complaint},
              "Addresses that the logs listener binds, as of BIND_HOST."},
      Setting{"SERVER_PORT", kListening, PortField{&Config::server_port},
              "Port of the logs listener. 0 takes a free one and prints it."},
      Setting{"RPC_HOST", kListening, TextField{&Config::rpc_host, hosts_complaint},
              "Addresses that the rpc listener binds, as of BIND_HOST."},
      Setting{"RPC_PORT", kListening, PortField{&Config::rpc_port},
              "Port of the rpc listener. 0 takes a free one and prints it."},
      Setting{"DOCUMENT_TIMEOUT", kListening, seconds(&Config::document_timeout, milliseconds(1)),
              "How long a document, line or request may take from its first byte to its last, "
              "counting only time in which Sluice was reading. Silence between them never closes a "
              "connection."},
      Setting{"MIN_RECEIVE_RATE", kListening, BytesField{&Config::receive_rate_min, 0, kGiB},
              "Bytes a second that a peer has to send inside a document, line or request, from "
              "its fifth second on; 0 asks for none."},
      Setting{"REPLY_TIMEOUT", kListening, seconds(&Config::reply_timeout, milliseconds(1)),
              "How long a logs or rpc client may leave its replies unread before it is closed."},
      Setting{"FEED_SILENT_AFTER", kListening, seconds(&Config::feed_silent_after, milliseconds(0)),
              "Raises an alarm when no byte came for so long; 0 is off. Nothing is closed."},

      Setting{"ALLOW_FROM",
              kAdmission,
              TextField{&Config::allow_from, allow_list_complaint},
              "Who may connect, as addresses and networks (10.0.0.0/8 2001:db8::/32). Others are "
              "closed at once. Read again on SIGHUP.",
              {},
              "everyone"},
      Setting{"PROXY_FROM",
              kAdmission,
              TextField{&Config::proxy_from, allow_list_complaint},
              "Trusted proxies, as of ALLOW_FROM. They have to begin with a PROXY header (version "
              "1 or 2), whose address then counts for limits, logs and records. Read again on "
              "SIGHUP.",
              {},
              "none"},
      Setting{"MAX_CONNECTIONS", kAdmission, CountField{&Config::connections_max, 1, 1'000'000},
              "Connections at a time of each listener; more are closed at once."},
      Setting{"MAX_CONNECTIONS_PER_IP", kAdmission,
              CountField{&Config::connections_per_ip_max, 0, 1'000'000},
              "Connections at a time from one address; 0 is no limit."},
      Setting{"ACCEPT_RATE_MAX", kAdmission, CountField{&Config::accept_rate_max, 0, 1'000'000},
              "Connections that each listener accepts in a second; more wait. 0 is no limit."},
      Setting{"HANDSHAKE_TIMEOUT", kAdmission, seconds(&Config::handshake_timeout, milliseconds(1)),
              "How long PROXY header, TLS handshake and token may take together."},
      Setting{"RATE_LIMIT_ENABLED",
              kAdmission,
              FlagField{&Config::rate_limit_enabled},
              "Limits what an address, or the client that a certificate names, may send. Of xml it "
              "slows reading, nothing is dropped; logs over the limit are answered with an error.",
              {},
              "false for xml, true for logs"},
      Setting{"RATE_LIMIT_WINDOW", kAdmission, seconds(&Config::rate_limit_window, milliseconds(1)),
              "Window of the xml rate limit."},
      Setting{"RATE_LIMIT_MAX_EVENTS", kAdmission,
              CountField{&Config::rate_limit_events_max, 1, 1'000'000'000},
              "Events that a sender may send in a window."},
      Setting{"TLS_CERT",
              kAdmission,
              TextField{&Config::tls_cert},
              "PEM file with the certificate that the listeners show, and those that it was issued "
              "by. With it they speak TLS 1.2 and 1.3 only. Read again on SIGHUP.",
              {},
              "none: plain text"},
      Setting{"TLS_KEY",
              kAdmission,
              TextField{&Config::tls_key},
              "PEM file with the key of TLS_CERT, not encrypted.",
              {},
              "none"},
      Setting{"TLS_CLIENT_CA",
              kAdmission,
              TextField{&Config::tls_client_ca},
              "PEM file with the authorities of client certificates. With it clients without one "
              "are refused.",
              {},
              "none: clients need no certificate"},
      Setting{"TLS_CLIENT_NAMES",
              kAdmission,
              TextField{&Config::tls_client_names},
              "Names that client certificates may have, apart by commas; *.example.org is any "
              "name in that domain.",
              {},
              "any that TLS_CLIENT_CA vouches for"},
      Setting{"TLS_PROTOCOLS", kAdmission, TextField{&Config::tls_protocols, protocols_complaint},
              "Which of PROTOCOLS speak TLS, where TLS_CERT is set."},
      Setting{"SERVER_TOKEN_FILE",
              kAdmission,
              TextField{&Config::server_token_file},
              "File with a token a line. With it each logs client begins with the line {\"token\": "
              "\"…\"}; over TLS only, and instead of a certificate. Read again on SIGHUP.",
              {},
              "none"},

      Setting{"MIN_LOG_LEVEL", kLogs, ChoiceField<LogLevel>{&Config::log_level_min, kLevels},
              "Least level of a line that is kept; others are answered ok/filtered."},
      Setting{"RATE_LIMIT_MAX_REQUESTS", kLogs,
              CountField{&Config::logs_rate_limit_requests_max, 1, 1'000'000'000},
              "Lines that a sender may send in a window; those over it are refused."},
      Setting{"RATE_LIMIT_WINDOW_SECONDS", kLogs,
              seconds(&Config::logs_rate_limit_window, milliseconds(1)),
              "Window of the logs rate limit."},
      Setting{"BUFFER_SIZE", kLogs, BytesField{&Config::logs_read_bytes_max, 1, 16 * kMiB},
              "Largest read from a logs connection."},
      Setting{"ENABLE_LOG_PERSISTENCE", kLogs, FlagField{&Config::log_persistence},
              "Whether lines are written to the log file. Without it they are in the spool and, "
              "with LOGS_UPLOAD, in the store."},
      Setting{"LOG_DIR", kLogs, TextField{&Config::log_dir}, "Directory of the log file."},
      Setting{"LOG_FILENAME", kLogs, TextField{&Config::log_filename, file_name_complaint},
              "Name of the log file."},
      Setting{"LOG_FILE_MAX_BYTES", kLogs, BytesField{&Config::log_file_bytes_max, 0, 1ULL << 50U},
              "The log file is renamed before it is larger; 0 is never."},
      Setting{"LOG_FILE_MAX_AGE", kLogs,
              DurationField{&Config::log_file_age_max, kSecond, milliseconds(0), kYear},
              "The log file is renamed when its first line is so old; 0 is never."},
      Setting{"LOG_FILES_KEEP", kLogs, CountField{&Config::log_files_keep, 0, 1'000'000},
              "Renamed log files that are kept; the oldest are deleted. 0 keeps all."},
      Setting{"LOGS_UPLOAD", kLogs, FlagField{&Config::logs_upload},
              "Whether lines go to the store as objects; else they stay in the log file only."},
      Setting{"LOGS_PREFIX", kLogs, TextField{&Config::logs_prefix, prefix_complaint, true},
              "What the keys of log objects begin with."},
  };
  return settings;
}

}  // namespace

std::span<const Setting> listener_settings() { return table(); }

}  // namespace sluice
