#include "commands/server.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "commands/books_page.h"
#include "commands/exit_code.h"
#include "commands/server_reports.h"
#include "commands/store_of.h"
#include "common/base/check.h"
#include "common/base/utc_text.h"
#include "common/log/log.h"
#include "common/platform/crash_marks.h"
#include "common/s3/s3_client.h"
#include "common/s3/store_probe.h"
#include "common/spool/ledger.h"

namespace sluice {
namespace {

constexpr auto kFirstProbeDeadline = std::chrono::seconds(15);
constexpr auto kLaterProbeDeadline = std::chrono::seconds(2);
constexpr auto kStoreRetryInterval = std::chrono::seconds(1);

// A refusal to start: in the log, and for whoever looks at the terminal.
int refuse(int exit_code, std::string_view what, const std::string& message) {
  log::error("refused to start", {{"reason", what}, {"message", message}});
  return exit_code;
}

std::string failure_text(const Pipeline::Failure& failure) {
  return failure.stage + ": " + failure.error.message;
}

}  // namespace

Server::Server(const Config& config, std::string config_path)
    : config_(config), config_path_(std::move(config_path)) {}

Server::~Server() {
  admin_.reset();
  egress_link_.connect(nullptr);
}

int Server::open() {
  for (const auto step : {&Server::open_spool, &Server::open_store, &Server::open_listeners}) {
    if (const int refused = (this->*step)(); refused != kExitClean) {
      return refused;
    }
  }
  return kExitClean;
}

int Server::open_spool() {
  auto opened = SpoolDirectory::open(filesystem_, clock_,
                                     {.path = config_.spool_dir,
                                      .destination = config_.destination(),
                                      .owner = ::geteuid(),
                                      .pid = static_cast<std::uint64_t>(::getpid())});
  if (auto* refusal = std::get_if<SpoolRefusal>(&opened)) {
    return refuse(refusal->exit_code(), "spool", refusal->error.message);
  }
  spool_ = std::move(std::get<std::unique_ptr<SpoolDirectory>>(opened));
  for (const std::string& warning : spool_->warnings()) {
    log::warning("spool", {{"message", warning}});
  }
  if (const Status marking = mark_crashes_in(crashes_path(spool_->path())); !marking) {
    log::warning("crashes are not counted", {{"error", marking.error().message}});
  }
  instance_ = config_.instance_id.empty() ? spool_->format().instance : config_.instance_id;
  auto stream = spool_->stream(Stream::xml, segment_settings_of(config_, instance_));
  if (!stream) {
    return refuse(kExitSpool, "spool", stream.error().message);
  }
  stream_ = std::move(*stream);
  return kExitClean;
}

Result<std::unique_ptr<ObjectStore>> Server::make_store() {
  return store_of(config_, instance_,
                  {.filesystem = filesystem_,
                   .clock = clock_,
                   .credentials = credentials_ ? &credentials_->provider() : nullptr});
}

int Server::open_store() {
  if (config_.uses_s3()) {
    credentials_ = std::make_unique<ConfiguredCredentials>(
        config_, ConfiguredCredentials::Outside{.filesystem = filesystem_, .clock = clock_});
    credentials_->start();
  }
  auto store = make_store();
  if (!store) {
    return refuse(kExitConfiguration, "store", store.error().message);
  }
  store_ = std::move(*store);
  objects_ = store_->describe();
  const bool delivered_before = highest_segment_in_ledger(filesystem_, config_.spool_dir) != 0;
  if (delivered_before && !config_.uses_s3()) {
    return kExitClean;
  }
  // A secret that was changed since must not refuse the feed, and a store that is down must not
  // hold it up: a later start only learns whether the store knows conditions.
  const auto probes = probe_store(
      *store_, delivered_before ? StoreProbe{{config_.prefix}, instance_, kLaterProbeDeadline}
                                : StoreProbe{{config_.prefix, config_.quarantine_prefix},
                                             instance_,
                                             kFirstProbeDeadline});
  if (std::any_of(probes.begin(), probes.end(),
                  [](const PrefixProbe& probe) { return probe.unconditional; })) {
    log::warning("store without conditions", {{"message", objects_ + " " + kUnconditional}});
  }
  if (delivered_before) {
    return kExitClean;
  }
  // Only the data prefix decides: a refused quarantine prefix never holds the data back.
  for (const PrefixProbe& probe : probes) {
    if (!probe.error) {
      continue;
    }
    const std::string message =
        objects_ + ", prefix \"" + probe.prefix + "\": " + describe(*probe.error);
    const bool refused = probe.error->kind == StoreErrorKind::configuration ||
                         probe.error->kind == StoreErrorKind::refresh_credentials;
    // A token service that is away must not refuse the feed, as a store that is away does not.
    const bool may_pass = probe.error->code == kNoCredentials && credentials_ &&
                          credentials_->provider().report().may_pass;
    if (!refused || may_pass || probe.prefix != config_.prefix) {
      log::warning("store probe failed", {{"message", message}});
      continue;
    }
    return probe.error->code == kNoCredentials ? refuse(kExitConfiguration, "credentials", message)
                                               : refuse(kExitFailed, "store", message);
  }
  return kExitClean;
}

int Server::open_listeners() {
  auto listener = TcpListener::listen(config_.bind_host, config_.port);
  if (!listener) {
    return refuse(kExitConfiguration, "PORT", listener.error().message);
  }
  listener_ = std::move(*listener);
  add_reports();
  auto admin = AdminServer::start({config_.admin_host, config_.admin_port}, reports_, conditions_);
  if (!admin) {
    return refuse(kExitConfiguration, "ADMIN_PORT", admin.error().message);
  }
  admin_ = std::move(*admin);
  return kExitClean;
}

void Server::start() {
  started_at_ = clock_.wall_now();
  bytes_seen_at_ = clock_.now();
  prepared_ = std::make_unique<BoundedQueue<PreparedSegment>>(kPreparedMax);
  const std::string listen = listener_->address();
  {
    const std::scoped_lock lock(halves_mutex_);
    ingest_ = std::make_unique<IngestHalf>(
        IngestHalf::Parts{config_, clock_, *stream_, books_, conditions_, pause_reading_,
                          *prepared_, egress_link_, object_ratio_},
        std::move(*listener_));
  }
  build_egress();
  ingest_->start();
  const std::string admin =
      config_.admin_host + ":" + std::to_string(static_cast<unsigned>(admin_->port()));
  log::info("server started", {{"version", SLUICE_VERSION},
                               {"instance", instance_},
                               {"listen", listen},
                               {"admin", admin},
                               {"spool", Path(config_.spool_dir).string()},
                               {"objects", objects_},
                               {"loss_window_ms", config_.spool_sync_interval.count()}});
}

void Server::build_egress() {
  if (store_ == nullptr) {
    auto store = make_store();
    if (!store) {
      conditions_.raise("egress", Conditions::Severity::not_ready,
                        "the store cannot be opened: " + store.error().message);
      restart_at_ = clock_.now() + kStoreRetryInterval;
      return;
    }
    store_ = std::move(*store);
  }
  auto egress = std::make_unique<EgressHalf>(
      EgressHalf::Parts{config_, clock_, filesystem_, *spool_, *stream_, books_, conditions_,
                        pause_reading_, *prepared_, object_ratio_},
      std::move(store_));
  egress->start();
  egress_link_.connect(&egress->inbox());
  const std::scoped_lock lock(halves_mutex_);
  egress_ = std::move(egress);
}

bool Server::watch() {
  const MonotonicTime now = clock_.now();
  if (auto failure = ingest_->pipeline().first_failure()) {
    failure_ = std::move(failure);
    return false;
  }
  if (pause_reading_.load() != paused_before_) {
    paused_before_ = !paused_before_;
    ingest_->wake_receivers();
  }
  if (seal_wanted_ && ingest_->seal_now()) {
    seal_wanted_ = false;
  }
  watch_silence(now);
  watch_credentials();
  spool_age_.look(now);
  return watch_egress(now);
}

bool Server::watch_egress(MonotonicTime now) {
  if (restart_at_ && now >= *restart_at_) {
    restart_at_.reset();
    conditions_.clear("egress");
    build_egress();
  }
  if (restart_at_ || egress_ == nullptr || !egress_->pipeline().first_failure()) {
    return true;
  }
  const Pipeline::Failure failure = *egress_->pipeline().first_failure();
  stop_egress();
  {
    const std::scoped_lock lock(halves_mutex_);
    egress_.reset();
  }
  restart_at_ = restarts_.on_failure(now, books_.segments_done.load());
  if (!restart_at_) {
    failure_ = failure;
    return false;
  }
  conditions_.raise("egress", Conditions::Severity::alarm,
                    "uploading failed (" + failure_text(failure) +
                        ") and is being started again; events keep spooling");
  return true;
}

void Server::watch_silence(MonotonicTime now) {
  const std::uint64_t bytes = books_.bytes_received.load(std::memory_order_relaxed);
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

void Server::seal_now() { seal_wanted_ = true; }

void Server::reload() {
  auto sources = read_config_sources(config_path_);
  auto config = sources ? load_config(*sources) : Result<Config>(sources.error());
  if (!config) {
    conditions_.raise("configuration", Conditions::Severity::alarm,
                      "reload failed, the old settings stay: " + config.error().message);
    return;
  }
  conditions_.clear("configuration");
  if (credentials_) {
    credentials_->provider().reread();
  }
  log::set_level(config->log_level);
  log::info("configuration reloaded", {{"path", config_path_}});
}

int Server::drain(const std::function<bool()>& wait) {
  log::info("stopping", {{"drain_timeout_seconds",
                          std::chrono::duration<double>(config_.drain_timeout).count()}});
  const MonotonicTime deadline = clock_.now() + config_.drain_timeout;
  ingest_->stop();
  bool hurry = false;
  while (!ingest_->pipeline().ended()) {
    hurry = wait() || hurry;
  }
  ingest_->pipeline().join();
  if (ingest_->pipeline().first_failure()) {
    failure_ = ingest_->pipeline().first_failure();
    return fail();
  }
  // Everything is on disk. What is uploaded from here on is spared the next start.
  bool asked = false;
  while (!restart_at_ && !hurry && clock_.now() < deadline && !egress_->pipeline().ended()) {
    asked = asked || egress_link_.request_drain();
    hurry = wait();
  }
  stop_egress();
  close_books(*stream_, books_);
  log_totals("server stopped");
  return kExitClean;
}

void Server::stop_egress() {
  egress_link_.connect(nullptr);
  if (egress_ != nullptr) {
    egress_->stop();
  }
}

int Server::fail() {
  log::error("half failed", {{"stage", failure_->stage}, {"message", failure_->error.message}});
  ingest_->pipeline().cancel();
  ingest_->pipeline().join();
  stop_egress();
  close_books(*stream_, books_);
  log_totals("server failed");
  return kExitHalfFailed;
}

void Server::log_totals(std::string_view event) const {
  log::info(event, {{"connections", books_.connections_opened.load()},
                    {"bytes", books_.bytes_received.load()},
                    {"events", books_.events_framed.load()},
                    {"malformed", books_.malformed_framed.load()},
                    {"uploaded", books_.events_uploaded.load()},
                    {"quarantined", books_.pieces_quarantined.load()},
                    {"objects", books_.objects_uploaded.load()},
                    {"in_spool", books_.pieces_in_spool.load()},
                    {"dropped_unacked", books_.pieces_dropped_unacked.load()},
                    {"difference", difference_at_end(books_)}});
}

void Server::add_reports() {
  reports_.add_section("version", [] { return nlohmann::json(SLUICE_VERSION); });
  reports_.add_section("instance", [this] { return nlohmann::json(instance_); });
  reports_.add_section("started_at", [this] { return nlohmann::json(utc_seconds(started_at_)); });
  reports_.add_section("ready", [this] { return nlohmann::json(conditions_.ready()); });
  reports_.add_section("conditions", [this] { return conditions_to_json(conditions_); });
  reports_.add_section("connections", [this] {
    return with_halves([](const IngestHalf* ingest, const EgressHalf* /*egress*/) {
      return nlohmann::json(ingest == nullptr ? 0 : ingest->connections());
    });
  });
  reports_.add_section("books", [this] { return nlohmann::json{{"xml", books_to_json(books_)}}; });
  reports_.add_section("spool", [this] {
    return nlohmann::json{{"dir", config_.spool_dir},
                          {"objects", objects_},
                          {"writing_segment", stream_->writing_num.load()},
                          {"durable_sequence", stream_->durable_sequence.load()},
                          {"bytes_max", config_.spool_bytes_max},
                          {"reading_paused", pause_reading_.load()},
                          {"oldest_event_age_seconds", spool_age_.seconds(clock_.wall_now())}};
  });
  reports_.add_section("credentials", [this] {
    return credentials_ ? credentials_to_json(credentials_->provider().report()) : nlohmann::json();
  });
  reports_.add_section("memory", [this] { return with_halves(memory_to_json); });
  reports_.add_section("queues", [this] { return with_halves(queues_to_json); });
  reports_.add_section("threads", [this] { return with_halves(threads_of_halves); });
  reports_.add_metrics([this](MetricsPage& page) {
    add_books_metrics(books_, Stream::xml, page);
    with_halves([&](const IngestHalf* ingest, const EgressHalf* egress) {
      add_server_metrics(page, ingest, egress);
      return nlohmann::json();
    });
    if (credentials_) {
      add_credential_metrics(page, credentials_->provider().report());
    }
    page.gauge("sluice_ready", "1 where no condition stands in the way", {},
               conditions_.ready() ? 1 : 0);
    page.gauge("sluice_oldest_event_age_seconds", "age of the oldest event not uploaded", {},
               spool_age_.seconds(clock_.wall_now()));
  });
}

nlohmann::json Server::with_halves(const HalvesReport& report) const {
  const std::scoped_lock lock(halves_mutex_);
  return report(ingest_.get(), egress_.get());
}

}  // namespace sluice
