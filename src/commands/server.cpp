#include "commands/server.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "commands/books_page.h"
#include "commands/exit_code.h"
#include "commands/server_reports.h"
#include "common/base/utc_text.h"
#include "common/log/log.h"
#include "common/platform/crash_marks.h"

namespace sluice {

Server::Server(const Config& config, std::string config_path)
    : config_(config), config_path_(std::move(config_path)) {}

Server::~Server() { admin_.reset(); }

int Server::open() {
  for (const auto step : {&Server::open_spool, &Server::open_streams, &Server::open_admin}) {
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
      .credentials = credentials_ ? &credentials_->provider() : nullptr,
      .delivered_before = highest_segment_in_ledger(filesystem_, config_.spool_dir) != 0};
  for (const StreamConfig& own : stream_configs(config_)) {
    streams_.push_back(std::make_unique<StreamServer>(own, shared));
  }
  // What is wrong with the disk is said before anything is asked of a store.
  for (const auto step :
       {&StreamServer::open_stream, &StreamServer::open_store, &StreamServer::open_listener}) {
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

int Server::open_admin() {
  add_reports();
  auto admin = AdminServer::start({config_.admin_host, config_.admin_port}, reports_, conditions_);
  if (!admin) {
    return refuse_to_start(kExitConfiguration, "ADMIN_PORT", admin.error().message);
  }
  admin_ = std::move(*admin);
  return kExitClean;
}

void Server::start() {
  started_at_ = clock_.wall_now();
  bytes_seen_at_ = clock_.now();
  for (const auto& stream : streams_) {
    stream->start();
  }
  const std::string admin =
      config_.admin_host + ":" + std::to_string(static_cast<unsigned>(admin_->port()));
  log::info("server started", {{"version", SLUICE_VERSION},
                               {"instance", instance_},
                               {"listen", streams_.front()->address()},
                               {"admin", admin},
                               {"spool", Path(config_.spool_dir).string()},
                               {"objects", streams_.front()->objects()},
                               {"loss_window_ms", config_.spool_sync_interval.count()}});
}

bool Server::watch() {
  const MonotonicTime now = clock_.now();
  watch_silence(now);
  watch_credentials();
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

void Server::seal_now() {
  for (const auto& stream : streams_) {
    stream->seal_now();
  }
}

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
  for (const auto& stream : streams_) {
    stream->stop_ingest();
  }
  bool hurry = false;
  while (!std::all_of(streams_.begin(), streams_.end(),
                      [](const auto& stream) { return stream->ingest_ended(); })) {
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
  for (const auto& stream : streams_) {
    stream->cancel();
    stream->close_books();
  }
  log_totals("server failed");
  return kExitHalfFailed;
}

void Server::log_totals(std::string_view event) const {
  std::uint64_t difference = 0;
  for (const auto& stream : streams_) {
    difference += difference_at_end(stream->books());
  }
  log::info(event, {{"connections", total(&Books::connections_opened)},
                    {"bytes", total(&Books::bytes_received)},
                    {"events", total(&Books::events_framed)},
                    {"malformed", total(&Books::malformed_framed)},
                    {"uploaded", total(&Books::events_uploaded)},
                    {"quarantined", total(&Books::pieces_quarantined)},
                    {"objects", total(&Books::objects_uploaded)},
                    {"in_spool", total(&Books::pieces_in_spool)},
                    {"dropped_unacked", total(&Books::pieces_dropped_unacked)},
                    {"difference", difference}});
}

void Server::for_each_stream(const std::function<void(const HalvesOf&)>& look) const {
  for (const auto& stream : streams_) {
    stream->with_halves(look);
  }
}

void Server::add_reports() {
  using nlohmann::json;
  reports_.add_section("version", [] { return json(SLUICE_VERSION); });
  reports_.add_section("instance", [this] { return json(instance_); });
  reports_.add_section("started_at", [this] { return json(utc_seconds(started_at_)); });
  reports_.add_section("ready", [this] { return json(conditions_.ready()); });
  reports_.add_section("conditions", [this] { return conditions_to_json(conditions_); });
  reports_.add_section("connections", [this] {
    std::uint64_t connections = 0;
    for_each_stream([&](const HalvesOf& halves) {
      connections += halves.ingest == nullptr ? 0 : halves.ingest->connections();
    });
    return json(connections);
  });
  reports_.add_section("books", [this] {
    json books = json::object();
    for (const auto& stream : streams_) {
      books[std::string(to_string(stream->config().stream))] = books_to_json(stream->books());
    }
    return books;
  });
  reports_.add_section("spool", [this] {
    json spool{{"dir", config_.spool_dir}, {"bytes_max", config_.spool_bytes_max}};
    double oldest = 0;
    for (const auto& stream : streams_) {
      oldest = std::max(oldest, stream->oldest_event_age_seconds());
      spool["objects"] = stream->objects();
      spool["streams"][std::string(to_string(stream->config().stream))] = stream->spool_report();
    }
    spool["oldest_event_age_seconds"] = oldest;
    return spool;
  });
  reports_.add_section("credentials", [this] {
    return credentials_ ? credentials_to_json(credentials_->provider().report()) : json();
  });
  reports_.add_section("memory", [this] {
    json memory = json::object();
    for_each_stream([&](const HalvesOf& halves) { memory.update(memory_to_json(halves)); });
    return memory;
  });
  const auto joined = [this](json (*of)(const HalvesOf&)) {
    json all = json::array();
    for_each_stream([&](const HalvesOf& halves) {
      for (json& one : of(halves)) {
        all.push_back(std::move(one));
      }
    });
    return all;
  };
  reports_.add_section("queues", [joined] { return joined(queues_to_json); });
  reports_.add_section("threads", [joined] { return joined(threads_to_json); });
  reports_.add_metrics([this](MetricsPage& page) { add_metrics(page); });
}

void Server::add_metrics(MetricsPage& page) const {
  for (const auto& stream : streams_) {
    const Stream name = stream->config().stream;
    add_books_metrics(stream->books(), name, page);
    page.gauge("sluice_oldest_event_age_seconds", "age of the oldest event not uploaded",
               {{"stream", std::string(to_string(name))}}, stream->oldest_event_age_seconds());
  }
  for_each_stream([&](const HalvesOf& halves) {
    add_half_metrics(page, halves);
    if (halves.ingest != nullptr) {
      page.gauge("sluice_connections", "open connections",
                 {{"listener", halves.scope.empty() ? "xml" : "logs"}},
                 static_cast<double>(halves.ingest->connections()));
    }
  });
  if (credentials_) {
    add_credential_metrics(page, credentials_->provider().report());
  }
  page.gauge("sluice_ready", "1 where no condition stands in the way", {},
             conditions_.ready() ? 1 : 0);
}

}  // namespace sluice
