#include "commands/server.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "commands/books_page.h"
#include "commands/exit_code.h"
#include "commands/refusal.h"
#include "commands/server_reports.h"
#include "common/base/utc_text.h"
#include "common/log/log.h"
#include "common/platform/crash_marks.h"

namespace sluice {
namespace {

// Before a certificate ends.
constexpr auto kCertificateWarning = std::chrono::hours(24 * 30);

}  // namespace

Server::Server(const Config& config, std::string config_path)
    : config_(config), config_path_(std::move(config_path)) {}

Server::~Server() { admin_.reset(); }

int Server::open() {
  for (const auto step :
       {&Server::open_spool, &Server::open_streams, &Server::open_rpc, &Server::open_admin}) {
    if (const int refused = (this->*step)(); refused != kExitClean) {
      return refused;
    }
  }
  return kExitClean;
}

int Server::open_spool() {
  auto passed = PassedSockets::from_environment();
  if (!passed) {
    return refuse_to_start(kExitConfiguration, "systemd", passed.error().message);
  }
  passed_ = std::move(*passed);
  if (config_.streams().empty()) {
    instance_ = config_.instance_id;  // rpc alone keeps nothing
    return kExitClean;
  }
  auto opened = SpoolDirectory::open(filesystem_, clock_,
                                     {.path = config_.spool_dir,
                                      .destination = config_.destination(),
                                      .owner = ::geteuid(),
                                      .pid = static_cast<std::uint64_t>(::getpid())});
  if (auto* refusal = std::get_if<SpoolRefusal>(&opened)) {
    return refuse_to_start(refusal->exit_code(), "spool", refusal->error.message);
  }
  spool_ = std::move(std::get<std::unique_ptr<SpoolDirectory>>(opened));
  for (const std::string& warning : spool_->warnings()) {
    log::warning("spool", {{"message", warning}});
  }
  if (const Status marking = mark_crashes_in(crashes_path(spool_->path())); !marking) {
    log::warning("crashes are not counted", {{"error", marking.error().message}});
  }
  instance_ = config_.instance_id.empty() ? spool_->format().instance : config_.instance_id;
  ledger_ = std::make_unique<Ledger>(
      filesystem_, clock_,
      Ledger::Options{.directory = config_.spool_dir,
                      .keep = std::chrono::ceil<std::chrono::hours>(config_.ledger_keep)});
  return kExitClean;
}

int Server::open_streams() {
  if (config_.streams().empty()) {
    return kExitClean;
  }
  if (config_.uses_s3()) {
    credentials_ = std::make_unique<ConfiguredCredentials>(
        config_, ConfiguredCredentials::Outside{.filesystem = filesystem_, .clock = clock_});
  }
  const StreamServer::Shared shared{
      .config = config_,
      .clock = clock_,
      .filesystem = filesystem_,
      .conditions = conditions_,
      .spool = *spool_,
      .ledger = *ledger_,
      .instance = instance_,
      .passed = passed_,
      .credentials = credentials_ ? &credentials_->provider() : nullptr,
      .delivered_before = highest_segment_in_ledger(filesystem_, config_.spool_dir) != 0};
  for (const StreamConfig& own : stream_configs(config_)) {
    streams_.push_back(std::make_unique<StreamServer>(own, shared));
  }
  // What is wrong with the disk is said before anything is asked of a store.
  for (const auto step : {&StreamServer::open_stream, &StreamServer::open_log,
                          &StreamServer::open_store, &StreamServer::open_listener}) {
    if (step == &StreamServer::open_store && credentials_) {
      credentials_->start();
    }
    for (const auto& stream : streams_) {
      if (const int refused = (*stream.*step)(); refused != kExitClean) {
        return refused;
      }
    }
  }
  return kExitClean;
}

int Server::open_rpc() {
  if (!config_.serves("rpc")) {
    return kExitClean;
  }
  const int refused = open_listener_of(rpc_listener_, config_, Protocol::rpc, passed_, filesystem_,
                                       clock_.wall_now());
  if (refused == kExitClean) {
    rpc_ = std::make_unique<RpcHalf>(config_, clock_, *rpc_listener_);
  }
  return refused;
}

// The last: its threads look at all that is opened before.
int Server::open_admin() {
  started_at_ = clock_.wall_now();
  add_reports();
  auto admin = AdminServer::start({config_.admin_host, config_.admin_port}, reports_, conditions_);
  if (!admin) {
    return refuse_to_start(kExitConfiguration, "ADMIN_PORT", admin.error().message);
  }
  admin_ = std::move(*admin);
  return kExitClean;
}

void Server::start() {
  bytes_seen_at_ = clock_.now();
  for (const auto& stream : streams_) {
    stream->start();
  }
  if (rpc_ != nullptr) {
    rpc_->start();
  }
  const std::string admin =
      config_.admin_host + ":" + std::to_string(static_cast<unsigned>(admin_->port()));
  log::info("server started", {{"version", SLUICE_VERSION},
                               {"instance", instance_},
                               {"listen", address_of(Protocol::xml)},
                               {"listen_logs", address_of(Protocol::logs)},
                               {"listen_rpc", address_of(Protocol::rpc)},
                               {"admin", admin},
                               {"spool", Path(config_.spool_dir).string()},
                               {"objects", objects()},
                               {"loss_window_ms", config_.spool_sync_interval.count()}});
}

std::vector<const Listener*> Server::listeners() const {
  std::vector<const Listener*> all;
  for (const auto& stream : streams_) {
    all.push_back(&stream->listener());
  }
  if (rpc_ != nullptr) {
    all.push_back(rpc_listener_.get());
  }
  return all;
}

// "none" where it is not served.
std::string Server::address_of(Protocol protocol) const {
  for (const Listener* listener : listeners()) {
    if (listener->protocol() == protocol) {
      return listener->addresses();
    }
  }
  return "none";
}

// Where they go; "none" of rpc alone, and of logs that are not uploaded.
std::string Server::objects() const {
  for (const auto& stream : streams_) {
    if (!stream->objects().empty()) {
      return stream->objects();
    }
  }
  return "none";
}

bool Server::watch() {
  const MonotonicTime now = clock_.now();
  watch_silence(now);
  watch_credentials();
  watch_certificates();
  if (rpc_ != nullptr && rpc_->pipeline().first_failure()) {
    return false;
  }
  return std::all_of(streams_.begin(), streams_.end(),
                     [now](const auto& stream) { return stream->watch(now); });
}

std::uint64_t Server::total(Books::Counter Books::*counter) const {
  std::uint64_t sum = 0;
  for (const auto& stream : streams_) {
    sum += (stream->books().*counter).load(std::memory_order_relaxed);
  }
  return sum;
}

void Server::watch_silence(MonotonicTime now) {
  const std::uint64_t bytes = total(&Books::bytes_received);
  if (bytes != bytes_seen_) {
    bytes_seen_ = bytes;
    bytes_seen_at_ = now;
    conditions_.clear("feed.silent");
  } else if (config_.feed_silent_after.count() > 0 &&
             now - bytes_seen_at_ >= config_.feed_silent_after) {
    conditions_.raise("feed.silent", Conditions::Severity::alarm,
                      "no byte from any feed for longer than FEED_SILENT_AFTER: is the "
                      "collaboration in the access-control system enabled, and is this port the "
                      "one that it sends to?");
  }
}

void Server::watch_credentials() {
  if (!credentials_) {
    return;
  }
  const CredentialReport report = credentials_->provider().report();
  if (report.error.empty()) {
    conditions_.clear("credentials");
    return;
  }
  // Without any the store's prefixes are held, and say so.
  std::string message = "credentials cannot be fetched anew: " + report.error;
  if (report.origin) {
    message += report.expired ? "; the old ones have expired" : "; the old ones serve on";
  }
  conditions_.raise("credentials", Conditions::Severity::alarm, std::move(message));
}

// Once an hour would do; it costs nothing.
void Server::watch_certificates() {
  std::optional<WallTime> ends_at;
  std::string_view whose;
  for (const Listener* listener : listeners()) {
    const auto end = listener->certificate_ends_at();
    if (end && (!ends_at || *end < *ends_at)) {
      ends_at = end;
      whose = to_string(listener->protocol());
    }
  }
  const WallTime now = clock_.wall_now();
  if (!ends_at || *ends_at - now > kCertificateWarning) {
    return conditions_.clear("tls.certificate");
  }
  conditions_.raise("tls.certificate", Conditions::Severity::alarm,
                    "the certificate of the " + std::string(whose) + " listener (TLS_CERT) " +
                        (*ends_at <= now ? "has ended at " : "ends at ") + utc_seconds(*ends_at) +
                        ": put a new one there and send SIGHUP");
}

void Server::seal_now() {
  for (const auto& stream : streams_) {
    stream->seal_now();
  }
}

void Server::raise_reload_failure(const Error& error) {
  conditions_.raise("configuration", Conditions::Severity::alarm,
                    "reload failed, the old settings stay: " + error.message);
}

void Server::reload() {
  // Whatever the settings are now: logrotate has renamed the file.
  for (const auto& stream : streams_) {
    stream->reopen_log();
  }
  if (credentials_) {
    credentials_->provider().reread();
  }
  auto sources = read_config_sources(config_path_);
  auto config = sources ? load_config(*sources) : Result<Config>(sources.error());
  if (!config) {
    raise_reload_failure(config.error());
    return;
  }
  // All of them are asked, so that what is right is taken.
  Status reloaded;  // the first error
  const auto keep_first = [&reloaded](Status status) {
    if (reloaded) {
      reloaded = std::move(status);
    }
  };
  for (const auto& stream : streams_) {
    keep_first(stream->reload(*config));
  }
  if (rpc_ != nullptr) {
    keep_first(rpc_listener_->load_rules(*config, filesystem_, clock_.wall_now()));
  }
  log::set_level(config->log_level);
  if (!reloaded) {
    raise_reload_failure(reloaded.error());
    return;
  }
  conditions_.clear("configuration");
  log::info("configuration reloaded", {{"path", config_path_}});
}

int Server::drain(const std::function<bool()>& wait) {
  log::info("stopping", {{"drain_timeout_seconds",
                          std::chrono::duration<double>(config_.drain_timeout).count()}});
  const MonotonicTime deadline = clock_.now() + config_.drain_timeout;
  for (const auto& stream : streams_) {
    stream->stop_ingest();
  }
  if (rpc_ != nullptr) {
    rpc_->stop();
  }
  bool hurry = false;
  while (!std::all_of(streams_.begin(), streams_.end(), [](const auto& stream) {
    return stream->ingest_ended();
  }) || (rpc_ != nullptr && !rpc_->pipeline().ended())) {
    hurry = wait() || hurry;
  }
  if (!std::all_of(streams_.begin(), streams_.end(),
                   [](const auto& stream) { return stream->join_ingest(); })) {
    return fail();
  }
  // Everything is on disk. What is uploaded from here on is spared the next start.
  const auto all_drained = [this] {
    return std::count_if(streams_.begin(), streams_.end(), [](const auto& stream) {
             return stream->egress_drained();
           }) == std::ssize(streams_);
  };
  while (!hurry && clock_.now() < deadline && !all_drained()) {
    hurry = wait();
  }
  for (const auto& stream : streams_) {
    stream->stop_egress();
    stream->close_books();
  }
  log_totals("server stopped");
  return kExitClean;
}

int Server::fail() {
  for (const auto& stream : streams_) {
    if (const auto& failure = stream->failure()) {
      log::error("half failed", {{"stage", failure->stage}, {"message", failure->error.message}});
    }
  }
  if (rpc_ != nullptr) {
    if (const auto failure = rpc_->pipeline().first_failure()) {
      log::error("half failed", {{"stage", failure->stage}, {"message", failure->error.message}});
    }
    rpc_->pipeline().cancel();
    rpc_->pipeline().join();
  }
  for (const auto& stream : streams_) {
    stream->cancel();
    stream->close_books();
  }
  log_totals("server failed");
  return kExitHalfFailed;
}

}  // namespace sluice
