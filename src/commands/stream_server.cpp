#include "commands/stream_server.h"

#include <algorithm>

#include "commands/exit_code.h"
#include "commands/refusal.h"
#include "commands/store_of.h"
#include "common/log/log.h"
#include "common/s3/s3_client.h"
#include "common/s3/store_probe.h"

namespace sluice {
namespace {

constexpr auto kFirstProbeDeadline = std::chrono::seconds(15);
constexpr auto kLaterProbeDeadline = std::chrono::seconds(2);
constexpr auto kStoreRetryInterval = std::chrono::seconds(1);

std::string failure_text(const Pipeline::Failure& failure) {
  return failure.stage + ": " + failure.error.message;
}

}  // namespace

StreamServer::StreamServer(StreamConfig own, const Shared& shared)
    : own_(std::move(own)), shared_(shared), conditions_(shared.conditions, own_.scope) {}

StreamServer::~StreamServer() { egress_link_.connect(nullptr); }

int StreamServer::open_stream() {
  auto stream = shared_.spool.stream(own_.stream,
                                     segment_settings_of(shared_.config, own_, shared_.instance));
  if (!stream) {
    return refuse_to_start(kExitSpool, "spool", stream.error().message);
  }
  stream_ = std::move(*stream);
  return kExitClean;
}

Result<std::unique_ptr<ObjectStore>> StreamServer::make_store() const {
  // A directory's temporary files of the one stream are none of the other's business.
  return store_of(shared_.config, shared_.instance + own_.suffix,
                  {.filesystem = shared_.filesystem,
                   .clock = shared_.clock,
                   .credentials = shared_.credentials,
                   .stream = &own_});
}

// Before egress can give anything away.
int StreamServer::open_log() {
  if (!own_.log_file) {
    return kExitClean;
  }
  const Config& config = shared_.config;
  log_ = std::make_unique<SpoolLog>(
      *stream_, LogFile::Options{.path = Path(config.log_dir) / config.log_filename,
                                 .bytes_max = config.log_file_bytes_max,
                                 .age_max = config.log_file_age_max,
                                 .files_keep = config.log_files_keep});
  if (Status status = log_->begin(); !status) {
    return refuse_to_start(kExitConfiguration, "LOG_DIR", status.error().message);
  }
  return kExitClean;
}

int StreamServer::open_store() {
  if (!own_.upload) {
    return kExitClean;
  }
  auto store = make_store();
  if (!store) {
    return refuse_to_start(kExitConfiguration, "store", store.error().message);
  }
  store_ = std::move(*store);
  objects_ = store_->describe();
  const Config& config = shared_.config;
  if (shared_.delivered_before && !config.uses_s3()) {
    return kExitClean;
  }
  // A secret that was changed since must not refuse the feed, and a store that is down must not
  // hold it up: a later start only learns whether the store knows conditions.
  const auto probes =
      probe_store(*store_, shared_.delivered_before
                               ? StoreProbe{{own_.prefix}, shared_.instance, kLaterProbeDeadline}
                               : StoreProbe{{own_.prefix, config.quarantine_prefix},
                                            shared_.instance,
                                            kFirstProbeDeadline});
  if (std::any_of(probes.begin(), probes.end(),
                  [](const PrefixProbe& probe) { return probe.unconditional; })) {
    log::warning("store without conditions", {{"message", objects_ + " " + kUnconditional}});
  }
  if (shared_.delivered_before) {
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
    const bool may_pass = probe.error->code == kNoCredentials && shared_.credentials != nullptr &&
                          shared_.credentials->report().may_pass;
    if (!refused || may_pass || probe.prefix != own_.prefix) {
      log::warning("store probe failed", {{"message", message}});
      continue;
    }
    return probe.error->code == kNoCredentials
               ? refuse_to_start(kExitConfiguration, "credentials", message)
               : refuse_to_start(kExitFailed, "store", message);
  }
  return kExitClean;
}

int StreamServer::open_listener() {
  return open_listener_of(listener_, shared_.config, protocol_of(own_.stream), shared_.passed,
                          shared_.filesystem, shared_.clock.wall_now());
}

Status StreamServer::reload(const Config& config) {
  return listener_->load_rules(config, shared_.filesystem, shared_.clock.wall_now());
}

void StreamServer::start() {
  prepared_ = std::make_unique<BoundedQueue<PreparedSegment>>(kPreparedMax);
  {
    const std::scoped_lock lock(halves_mutex_);
    ingest_ = std::make_unique<IngestHalf>(
        IngestHalf::Parts{shared_.config, own_, shared_.clock, *stream_, books_, conditions_,
                          pause_reading_, *prepared_, egress_link_, object_ratio_, log_.get()},
        *listener_);
  }
  build_egress();
  ingest_->start();
}

void StreamServer::build_egress() {
  if (store_ == nullptr && own_.upload) {
    auto store = make_store();
    if (!store) {
      conditions_.raise("egress", Conditions::Severity::not_ready,
                        "the store cannot be opened: " + store.error().message);
      restart_at_ = shared_.clock.now() + kStoreRetryInterval;
      return;
    }
    store_ = std::move(*store);
  }
  auto egress = std::make_unique<EgressHalf>(
      EgressHalf::Parts{shared_.config, own_, shared_.clock, shared_.spool, *stream_,
                        shared_.ledger, books_, conditions_, pause_reading_, *prepared_,
                        object_ratio_},
      std::move(store_));
  egress->start();
  egress_link_.connect(&egress->inbox());
  const std::scoped_lock lock(halves_mutex_);
  egress_ = std::move(egress);
}

bool StreamServer::watch(MonotonicTime now) {
  if (auto failure = ingest_->pipeline().first_failure()) {
    failure_ = std::move(failure);
    return false;
  }
  if (pause_reading_.load() != paused_before_) {
    paused_before_ = !paused_before_;
    ingest_->wake_receivers();
  }
  while (!wanted_.empty() && ingest_->ask(wanted_.front())) {
    wanted_.erase(wanted_.begin());
  }
  spool_age_.look(now);
  return watch_egress(now);
}

bool StreamServer::watch_egress(MonotonicTime now) {
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

bool StreamServer::join_ingest() {
  ingest_->pipeline().join();
  failure_ = ingest_->pipeline().first_failure();
  return !failure_;
}

bool StreamServer::egress_drained() {
  if (restart_at_ || egress_->pipeline().ended()) {
    return true;
  }
  drain_asked_ = drain_asked_ || egress_link_.request_drain();
  return false;
}

void StreamServer::stop_egress() {
  egress_link_.connect(nullptr);
  if (egress_ != nullptr) {
    egress_->stop();
  }
}

void StreamServer::cancel() {
  ingest_->pipeline().cancel();
  ingest_->pipeline().join();
  stop_egress();
}

void StreamServer::close_books() { sluice::close_books(*stream_, books_); }

void StreamServer::with_halves(const std::function<void(const HalvesOf&)>& look) const {
  const std::scoped_lock lock(halves_mutex_);
  look({own_.scope, ingest_.get(), egress_.get()});
}

nlohmann::json StreamServer::spool_report() const {
  return {{"writing_segment", stream_->writing_num.load()},
          {"durable_sequence", stream_->durable_sequence.load()},
          {"reading_paused", pause_reading_.load()},
          {"oldest_event_age_seconds", oldest_event_age_seconds()}};
}

double StreamServer::oldest_event_age_seconds() const {
  return spool_age_.seconds(shared_.clock.wall_now());
}

}  // namespace sluice
