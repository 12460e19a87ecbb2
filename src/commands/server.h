// Server: the process as a whole. Takes the spool, builds what serves each stream and the admin
// server, watches them from the main thread, and ends them in order.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "commands/credentials_of.h"
#include "commands/rpc_half.h"
#include "commands/stream_server.h"
#include "common/admin/admin_server.h"
#include "common/admin/conditions.h"
#include "common/admin/reports.h"
#include "common/config/config.h"
#include "common/platform/clock.h"
#include "common/platform/posix_filesystem.h"
#include "common/spool/ledger.h"
#include "common/spool/spool_directory.h"

namespace sluice {

class Server {
 public:
  Server(const Config& config, std::string config_path);
  ~Server();

  // Takes what the server needs; logs what is wrong. An exit code, 0 to go on.
  int open();
  // Starts every stream and says where everything is.
  void start();
  // A turn of the main thread. False: it cannot go on.
  bool watch();
  void seal_now();
  // Reads the configuration file again and applies who is let in (lists, certificates, tokens) and
  // the log level; what is bad leaves the old. Fetches credentials anew, reopens the log file.
  void reload();
  // Stops accepting, brings everything to the disk, uploads until DRAIN_TIMEOUT. `wait` blocks for
  // a moment and says whether the operator asks to hurry: then what is on disk stays there. The
  // exit code.
  int drain(const std::function<bool()>& wait);
  // After watch() gave false: ends what still runs. The exit code.
  int fail();

 private:
  int open_spool();
  int open_streams();
  int open_rpc();
  int open_admin();
  void add_reports();
  void add_metrics(MetricsPage& page) const;
  void watch_silence(MonotonicTime now);
  void watch_credentials();
  void watch_certificates();
  void raise_reload_failure(const Error& error);
  [[nodiscard]] std::vector<const Listener*> listeners() const;
  [[nodiscard]] std::string address_of(Protocol protocol) const;
  [[nodiscard]] std::string objects() const;
  [[nodiscard]] std::uint64_t total(Books::Counter Books::*counter) const;
  void log_totals(std::string_view event) const;
  // Of every stream's halves, and rpc's.
  void for_each_half(const std::function<void(const HalvesOf&)>& look) const;

  const Config& config_;
  const std::string config_path_;
  SystemClock clock_;
  PosixFilesystem filesystem_;
  Conditions conditions_;
  std::unique_ptr<SpoolDirectory> spool_;
  std::unique_ptr<Ledger> ledger_;
  std::string instance_;
  std::unique_ptr<ConfiguredCredentials> credentials_;  // of S3 stores; outlives them
  PassedSockets passed_;                                // from systemd
  std::vector<std::unique_ptr<StreamServer>> streams_;
  std::unique_ptr<Listener> rpc_listener_;
  std::unique_ptr<RpcHalf> rpc_;
  std::uint64_t bytes_seen_ = 0;
  MonotonicTime bytes_seen_at_{};
  WallTime started_at_{};
  Reports reports_;
  std::unique_ptr<AdminServer> admin_;
};

}  // namespace sluice
