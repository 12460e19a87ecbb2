#include "commands/listener.h"

#include <string_view>

#include "commands/exit_code.h"
#include "commands/refusal.h"

namespace sluice {
namespace {

struct Where {
  const std::string& hosts;
  std::uint16_t port;
  std::string_view setting;
};

Where where_of(const Config& config, Protocol protocol) {
  switch (protocol) {
    case Protocol::xml:
      break;
    case Protocol::logs:
      return {config.server_host, config.server_port, "SERVER_PORT"};
    case Protocol::rpc:
      return {config.rpc_host, config.rpc_port, "RPC_PORT"};
  }
  return {config.bind_host, config.port, "PORT"};
}

std::unique_ptr<RateLimiter> rate_limiter_of(const Config& config, Protocol protocol) {
  if (protocol == Protocol::xml && config.rate_limit_enabled) {
    return std::make_unique<RateLimiter>(
        RateLimiter::Limit{config.rate_limit_events_max, config.rate_limit_window});
  }
  if (protocol == Protocol::logs && config.logs_rate_limit_enabled) {
    return std::make_unique<RateLimiter>(
        RateLimiter::Limit{config.logs_rate_limit_requests_max, config.logs_rate_limit_window});
  }
  return nullptr;
}

std::vector<std::string> names_of(std::string_view list) {
  std::vector<std::string> names;
  while (!list.empty()) {
    const std::size_t end = std::min(list.find_first_of(", "), list.size());
    if (end > 0) {
      names.emplace_back(list.substr(0, end));
    }
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return names;
}

Result<std::shared_ptr<const TlsContext>> tls_context_of(const Config& config, Protocol protocol,
                                                         Filesystem& filesystem, WallTime now) {
  const TlsSettings tls = config.tls_of(to_string(protocol));
  auto context = TlsContext::load(filesystem,
                                  {.cert_path = tls.cert,
                                   .key_path = tls.key,
                                   .client_ca_path = tls.client_ca,
                                   .client_names = names_of(tls.client_names)},
                                  now);
  if (!context) {
    return fatal(
        "TLS of the " + std::string(to_string(protocol)) + " listener: " + context.error().message,
        context.error().code);
  }
  return context;
}

}  // namespace

Listener::Listener(const Config& config, Protocol protocol)
    : protocol_(protocol),
      limits_({static_cast<std::uint32_t>(config.connections_max),
               static_cast<std::uint32_t>(config.connections_per_ip_max)}),
      accept_rate_(static_cast<std::uint32_t>(config.accept_rate_max)),
      rate_limiter_(rate_limiter_of(config, protocol)),
      rules_(std::make_shared<const ListenerRules>()) {}

Status Listener::open(const Config& config, PassedSockets& passed) {
  const Where where = where_of(config, protocol_);
  auto sockets = listen_all(where.hosts, where.port, passed);
  if (!sockets) {
    return fatal(std::string(where.setting) + ": " + sockets.error().message, sockets.error().code);
  }
  sockets_ = std::move(*sockets);
  return {};
}

Status Listener::load_rules(const Config& config, Filesystem& filesystem, WallTime now) {
  auto rules = std::make_shared<ListenerRules>();
  auto allow = AllowList::parse(config.allow_from);
  auto proxies = AllowList::parse(config.proxy_from);
  if (!allow || !proxies) {
    return allow ? proxies.status() : allow.status();
  }
  rules->allow = std::move(*allow);
  rules->proxies = std::move(*proxies);
  if (config.speaks_tls(to_string(protocol_))) {
    auto context = tls_context_of(config, protocol_, filesystem, now);
    if (!context) {
      return context.status();
    }
    rules->tls = std::move(*context);
  }
  if (protocol_ == Protocol::logs && !config.server_token_file.empty()) {
    auto tokens = TokenFile::read(filesystem, config.server_token_file);
    if (!tokens) {
      return tokens.status();
    }
    rules->tokens = std::move(*tokens);
  }
  rules_.set(std::move(rules));
  return {};
}

std::string Listener::addresses() const {
  std::string all;
  for (const TcpListener& socket : sockets_) {
    all += (all.empty() ? "" : ", ") + socket.address();
  }
  return all;
}

std::optional<WallTime> Listener::certificate_ends_at() const {
  const ListenerRulesPtr rules = rules_.get();
  return rules->tls ? std::optional(rules->tls->not_after()) : std::nullopt;
}

int open_listener_of(std::unique_ptr<Listener>& listener, const Config& config, Protocol protocol,
                     PassedSockets& passed, Filesystem& filesystem, WallTime now) {
  listener = std::make_unique<Listener>(config, protocol);
  // What it would let in is known before it listens.
  if (Status status = listener->load_rules(config, filesystem, now); !status) {
    return refuse_to_start(kExitConfiguration, "listener", status.error().message);
  }
  if (Status status = listener->open(config, passed); !status) {
    return refuse_to_start(kExitConfiguration, "listener", status.error().message);
  }
  return kExitClean;
}

Protocol protocol_of(Stream stream) {
  return stream == Stream::xml ? Protocol::xml : Protocol::logs;
}

}  // namespace sluice
