// Server: the process as a whole. Takes the spool, chooses the store, builds the two halves and
// the admin server, watches them from the main thread, and ends them in order.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "commands/credentials_of.h"
#include "commands/egress_half.h"
#include "commands/egress_link.h"
#include "commands/egress_restarts.h"
#include "commands/ingest_half.h"
#include "commands/spool_age.h"
#include "common/admin/admin_server.h"
#include "common/admin/conditions.h"
#include "common/admin/reports.h"
#include "common/base/live_ratio.h"
#include "common/config/config.h"
#include "common/platform/clock.h"
#include "common/platform/posix_filesystem.h"
#include "common/spool/spool_directory.h"
#include "stages/books.h"

namespace sluice {

class Server {
 public:
  Server(const Config& config, std::string config_path);
  ~Server();

  // Takes what the server needs; logs what is wrong. An exit code, 0 to go on.
  int open();
  // Starts both halves and the admin server, and says where everything is.
  void start();
  // A turn of the main thread. False: it cannot go on.
  bool watch();
  void seal_now();
  // Reads the configuration file again and applies the log level; keeps the old one where it is
  // bad. Fetches credentials anew.
  void reload();
  // Stops accepting, brings everything to the disk, uploads until DRAIN_TIMEOUT. `wait` blocks for
  // a moment and says whether the operator asks to hurry: then what is on disk stays there. The
  // exit code.
  int drain(const std::function<bool()>& wait);
  // After watch() gave false: ends what still runs. The exit code.
  int fail();

 private:
  // Rotate keeps fewer than this prepared; room for all of them.
  static constexpr std::size_t kPreparedMax = 16;

  int open_spool();
  int open_store();
  Result<std::unique_ptr<ObjectStore>> make_store();
  int open_listeners();
  void add_reports();
  using HalvesReport =
      std::function<nlohmann::json(const IngestHalf* ingest, const EgressHalf* egress)>;
  nlohmann::json with_halves(const HalvesReport& report) const;
  void build_egress();
  void stop_egress();
  bool watch_egress(MonotonicTime now);
  void watch_silence(MonotonicTime now);
  void watch_credentials();
  void log_totals(std::string_view event) const;

  const Config& config_;
  const std::string config_path_;
  SystemClock clock_;
  PosixFilesystem filesystem_;
  Books books_;
  Conditions conditions_;
  std::atomic<bool> pause_reading_{false};
  LiveRatio object_ratio_;  // survives a rebuilt egress
  std::unique_ptr<SpoolDirectory> spool_;
  std::unique_ptr<StreamDirectory> stream_;
  std::string instance_;
  std::unique_ptr<ConfiguredCredentials> credentials_;  // of an S3 store; outlives it
  std::unique_ptr<ObjectStore> store_;                  // until egress takes it
  std::string objects_;                                 // what it is called
  std::optional<TcpListener> listener_;
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
  bool seal_wanted_ = false;
  SpoolAge spool_age_{filesystem_, stream_};
  std::uint64_t bytes_seen_ = 0;
  MonotonicTime bytes_seen_at_{};
  WallTime started_at_{};
  Reports reports_;
  std::unique_ptr<AdminServer> admin_;
};

}  // namespace sluice
