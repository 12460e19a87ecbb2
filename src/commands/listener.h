// Listener: what is listened on for one protocol, who is let in, and what those share who accept
// from it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "common/net/accept_rate.h"
#include "common/net/connection_limits.h"
#include "common/net/listen_all.h"
#include "common/net/listener_rules.h"
#include "common/net/rate_limiter.h"
#include "common/platform/clock.h"
#include "common/platform/filesystem.h"
#include "stages/messages.h"

namespace sluice {

class Listener {
 public:
  Listener(const Config& config, Protocol protocol);

  // Listens. The error names the setting of the port. Blocks while names are looked up.
  Status open(const Config& config, PassedSockets& passed);
  // Reads lists, certificates and tokens, at start and again on SIGHUP; on an error the old rules
  // stay. Blocks.
  Status load_rules(const Config& config, Filesystem& filesystem, WallTime now);

  [[nodiscard]] Protocol protocol() const { return protocol_; }
  [[nodiscard]] std::span<TcpListener> sockets() { return sockets_; }
  // "0.0.0.0:8080, unix:/run/sluice/xml.sock"
  [[nodiscard]] std::string addresses() const;
  // When its certificate ends, where it has one. Thread-safe.
  [[nodiscard]] std::optional<WallTime> certificate_ends_at() const;
  [[nodiscard]] std::uint32_t connections() const { return limits_.connections(); }

  ConnectionLimits& limits() { return limits_; }
  ListenerRulesHolder& rules() { return rules_; }
  AcceptRate& accept_rate() { return accept_rate_; }
  // None where nothing is limited.
  RateLimiter* rate_limiter() { return rate_limiter_.get(); }

 private:
  const Protocol protocol_;
  ConnectionLimits limits_;
  AcceptRate accept_rate_;
  std::unique_ptr<RateLimiter> rate_limiter_;
  ListenerRulesHolder rules_;
  std::vector<TcpListener> sockets_;
};

// Makes it, listens and loads its rules. An exit code, 0 where it is there; what is wrong is
// logged.
int open_listener_of(std::unique_ptr<Listener>& listener, const Config& config, Protocol protocol,
                     PassedSockets& passed, Filesystem& filesystem, WallTime now);

Protocol protocol_of(Stream stream);

}  // namespace sluice
