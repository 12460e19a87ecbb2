// StreamServer: all that serves one stream: its folder of the spool, its books, its two halves and
// what joins them. Watched from the main thread; egress is torn down and built again here.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "commands/credentials_of.h"
#include "commands/egress_half.h"
#include "commands/egress_link.h"
#include "commands/egress_restarts.h"
#include "commands/ingest_half.h"
#include "commands/server_reports.h"
#include "commands/spool_age.h"
#include "common/admin/conditions.h"
#include "common/base/live_ratio.h"
#include "common/config/config.h"
#include "common/config/stream_config.h"
#include "common/platform/clock.h"
#include "common/spool/ledger.h"
#include "common/spool/spool_directory.h"
#include "stages/books.h"

namespace sluice {

class StreamServer {
 public:
  // What all streams of the process share; outlives them.
  struct Shared {
    const Config& config;
    const Clock& clock;
    Filesystem& filesystem;
    Conditions& conditions;
    SpoolDirectory& spool;
    Ledger& ledger;
    const std::string& instance;
    PassedSockets& passed;
    RefreshingCredentials* credentials = nullptr;  // of an S3 store
    bool delivered_before = false;                 // by an earlier process
  };
  StreamServer(StreamConfig own, const Shared& shared);
  ~StreamServer();

  // Takes what it needs, in this order; logs what is wrong. An exit code, 0 to go on.
  int open_stream();
  int open_log();
  int open_store();
  int open_listener();
  void start();

  // A turn of the main thread. False: it cannot go on, failure() says why.
  bool watch(MonotonicTime now);
  void seal_now() { wanted_.emplace_back(SealNow{}); }
  // SIGHUP: the log file; and who is let in, as `config` says now. On an error the old rules stay.
  void reopen_log() { wanted_.emplace_back(ReopenLog{}); }
  Status reload(const Config& config);
  // Accepts nothing more, brings everything to the disk. Does not wait.
  void stop_ingest() { ingest_->stop(); }
  // False after all ingest threads have ended, one of them by a failure.
  [[nodiscard]] bool ingest_ended() const { return ingest_->pipeline().ended(); }
  bool join_ingest();
  // Upload what is on disk, then end. True once there is nothing left to wait for.
  bool egress_drained();
  void stop_egress();
  // Ends what still runs, wherever it is.
  void cancel();
  // After both halves have ended.
  void close_books();

  [[nodiscard]] const std::optional<Pipeline::Failure>& failure() const { return failure_; }
  [[nodiscard]] const StreamConfig& config() const { return own_; }
  [[nodiscard]] const Books& books() const { return books_; }
  [[nodiscard]] const std::string& objects() const { return objects_; }
  [[nodiscard]] const Listener& listener() const { return *listener_; }

  // Thread-safe, also while egress is rebuilt.
  void with_halves(const std::function<void(const HalvesOf&)>& look) const;
  [[nodiscard]] nlohmann::json spool_report() const;
  [[nodiscard]] double oldest_event_age_seconds() const;

 private:
  // Rotate keeps fewer than this prepared; room for all of them.
  static constexpr std::size_t kPreparedMax = 16;

  [[nodiscard]] Result<std::unique_ptr<ObjectStore>> make_store() const;
  void build_egress();
  bool watch_egress(MonotonicTime now);

  const StreamConfig own_;
  const Shared shared_;
  Conditions conditions_;
  Books books_;
  std::atomic<bool> pause_reading_{false};
  LiveRatio object_ratio_;  // survives a rebuilt egress
  std::unique_ptr<StreamDirectory> stream_;
  std::unique_ptr<ObjectStore> store_;  // until egress takes it
  std::string objects_;                 // what it is called
  std::unique_ptr<SpoolLog> log_;
  std::unique_ptr<Listener> listener_;
  EgressLink egress_link_;
  std::unique_ptr<BoundedQueue<PreparedSegment>> prepared_;
  // The admin server's threads look at the halves while egress is rebuilt.
  mutable std::mutex halves_mutex_;
  std::unique_ptr<IngestHalf> ingest_;
  std::unique_ptr<EgressHalf> egress_;
  EgressRestarts restarts_;
  std::optional<MonotonicTime> restart_at_;
  std::optional<Pipeline::Failure> failure_;
  bool paused_before_ = false;
  std::vector<SpoolInput> wanted_;  // of Spool, whose queue may be full
  bool drain_asked_ = false;
  SpoolAge spool_age_{shared_.filesystem, stream_};
};

}  // namespace sluice
