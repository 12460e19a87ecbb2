#include "commands/check.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "commands/check_store.h"
#include "commands/exit_code.h"
#include "commands/listener.h"
#include "commands/rotate.h"
#include "common/config/value_text.h"
#include "common/net/listen_all.h"
#include "common/platform/clock.h"
#include "common/platform/disk_hazard.h"
#include "common/platform/posix_filesystem.h"

namespace sluice {

// The directory, or the nearest one above it that exists.
Path nearest_existing(Filesystem& filesystem, const Path& directory) {
  std::error_code error;
  Path path = std::filesystem::absolute(directory, error).lexically_normal();
  while (path.has_relative_path() && !filesystem.info(path)) {
    path = path.parent_path();
  }
  return path;
}

bool writable(const Path& directory) {
  return ::faccessat(AT_FDCWD, directory.c_str(), W_OK | X_OK, AT_EACCESS) == 0;
}

namespace {

using Verdict = CheckLine::Verdict;

// Removes what it was made for, whatever happens in between.
class TemporaryFile {
 public:
  TemporaryFile(Filesystem& filesystem, Path path)
      : filesystem_(filesystem), path_(std::move(path)) {}
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() { (void)filesystem_.unlink(path_).ok(); }

 private:
  Filesystem& filesystem_;
  Path path_;
};

CheckLine check_place(const Config& config, Filesystem& filesystem, const Path& directory) {
  const auto info = filesystem.info(directory);
  if (!info || info->type != FileType::directory) {
    const Path above = nearest_existing(filesystem, directory);
    const auto above_info = filesystem.info(above);
    if (info || !above_info || above_info->type != FileType::directory || !writable(above)) {
      return {Verdict::failure, "spool",
              "SPOOL_DIR=" + config.spool_dir + " cannot be made: " + above.string() +
                  " is no directory that this user may write; make it, or set SPOOL_DIR"};
    }
    return {Verdict::ok, "spool", "SPOOL_DIR=" + config.spool_dir + " will be made at the start"};
  }
  if (const auto hazard = access_hazard(*info, ::geteuid())) {
    return {hazard->serious ? Verdict::failure : Verdict::warning, "spool",
            "SPOOL_DIR=" + config.spool_dir + " " + hazard->message};
  }
  if (!writable(directory)) {
    return {Verdict::failure, "spool",
            "SPOOL_DIR=" + config.spool_dir + " may not be written by this user"};
  }
  const auto pid = running_pid(directory);
  return {Verdict::ok, "spool",
          "SPOOL_DIR=" + config.spool_dir +
              (pid ? "; a server runs on it (pid " + std::to_string(*pid) + ")" : "")};
}

// Without a server that runs here, ours would get the port.
CheckLine check_port(std::string_view name, const std::string& host, std::uint16_t port) {
  if (host.find("systemd") != std::string::npos) {
    return {Verdict::ok, "port", std::string(name) + ": systemd passes a socket at the start"};
  }
  PassedSockets none;
  const auto sockets = listen_all(host, port, none);
  if (!sockets) {
    return {Verdict::failure, "port", std::string(name) + ": " + sockets.error().message};
  }
  return {Verdict::ok, "port",
          std::string(name) + "=" + std::to_string(port) + " on " + host +
              (port == 0 ? " will be any free one" : " is free")};
}

CheckLine check_room(const Config& config, Filesystem& filesystem) {
  const Path directory = config.spool_dir;
  const auto space = filesystem.space(nearest_existing(filesystem, directory));
  if (!space) {
    return {Verdict::failure, "spool room", space.error().message};
  }
  std::uint64_t used = 0;
  for (const Path& part :
       {directory, directory / "xml", directory / "logs", directory / "quarantine"}) {
    if (const auto entries = filesystem.list(part)) {
      for (const DirectoryEntry& entry : *entries) {
        used += entry.info.type == FileType::regular ? entry.info.bytes_allocated : 0;
      }
    }
  }
  const std::uint64_t room = space->bytes_available + used;
  const std::string text =
      fmt::format("{} MiB free, {} MiB used by the spool, SPOOL_MAX_BYTES={}",
                  space->bytes_available / kMiB, used / kMiB, bytes_text(config.spool_bytes_max));
  if (room < config.spool_bytes_max) {
    return {Verdict::warning, "spool room",
            text + ": the disk would be full first; free some, or set SPOOL_MAX_BYTES to at most " +
                bytes_text(room / kMiB * kMiB)};
  }
  return {Verdict::ok, "spool room", text};
}

}  // namespace

std::string to_text(const CheckLine& line) {
  constexpr std::array<const char*, 3> kVerdicts{"ok", "WARN", "FAIL"};
  return fmt::format("{:<5} {:<12} {}", kVerdicts[static_cast<std::size_t>(line.verdict)],
                     line.subject, line.text);
}

CheckLine check_sync(Filesystem& filesystem, const Path& directory) {
  constexpr int kRounds = 8;
  constexpr std::size_t kBytes = 64 * kKiB;
  constexpr auto kSlow = std::chrono::milliseconds(50);
  const Path path = directory / (".sluice-check-" + std::to_string(::getpid()));
  auto file = filesystem.open(path, OpenMode::create_new);
  if (!file) {
    return {Verdict::failure, "disk sync", file.error().message};
  }
  const TemporaryFile removed(filesystem, path);
  const std::vector<std::byte> bytes(kBytes, std::byte{0x5A});
  std::vector<std::chrono::microseconds> times;
  for (int round = 0; round < kRounds; ++round) {
    const auto begin = std::chrono::steady_clock::now();
    Status status = write_all(**file, bytes, static_cast<std::uint64_t>(round) * kBytes);
    if (status) {
      status = (*file)->fdatasync();
    }
    if (!status) {
      return {Verdict::failure, "disk sync",
              status.error().message + "; events cannot be made durable on this disk"};
    }
    times.push_back(std::chrono::duration_cast<std::chrono::microseconds>(
        std::chrono::steady_clock::now() - begin));
  }
  std::sort(times.begin(), times.end());
  const auto median = times[times.size() / 2];
  const std::string text =
      fmt::format("64 KiB written and synced in {:.1f} ms (worst {:.1f} ms of {})",
                  static_cast<double>(median.count()) / 1000,
                  static_cast<double>(times.back().count()) / 1000, kRounds);
  if (median > kSlow) {
    return {Verdict::warning, "disk sync",
            text + ": clients wait that long for their end of stream; use a faster disk"};
  }
  return {Verdict::ok, "disk sync", text};
}

std::vector<CheckLine> check_spool(const Config& config, Filesystem& filesystem) {
  const Path directory = config.spool_dir;
  std::vector<CheckLine> lines{check_place(config, filesystem, directory)};
  const Path existing = nearest_existing(filesystem, directory);
  if (const auto hazard = filesystem_hazard(existing)) {
    lines.push_back({Verdict::failure, "spool disk", *hazard + "; set SPOOL_DIR to a local disk"});
  }
  lines.push_back(check_room(config, filesystem));
  if (lines.front().verdict != Verdict::failure) {
    lines.push_back(check_sync(filesystem, existing));
  }
  return lines;
}

// Of each listener: who may connect, and where it listens.
std::vector<CheckLine> check_listeners(const Config& config, Filesystem& filesystem) {
  std::vector<CheckLine> lines;
  const bool running = running_pid(config.spool_dir).has_value();
  const auto check = [&](Protocol protocol, std::string_view name, const std::string& hosts,
                         std::uint16_t port) {
    if (!config.serves(to_string(protocol))) {
      return;
    }
    const Status rules =
        Listener(config, protocol).load_rules(config, filesystem, SystemClock().wall_now());
    if (!rules) {
      lines.push_back({Verdict::failure, "listener", rules.error().message});
    }
    if (!running) {
      lines.push_back(check_port(name, hosts, port));
    }
  };
  check(Protocol::xml, "PORT", config.bind_host, config.port);
  check(Protocol::logs, "SERVER_PORT", config.server_host, config.server_port);
  check(Protocol::rpc, "RPC_PORT", config.rpc_host, config.rpc_port);
  if (!running) {
    lines.push_back(check_port("ADMIN_PORT", config.admin_host, config.admin_port));
  }
  return lines;
}

// The log file's directory, where there is to be one.
std::vector<CheckLine> check_log_dir(const Config& config, Filesystem& filesystem) {
  if (!config.serves("logs") || !config.log_persistence) {
    return {};
  }
  const Path existing = nearest_existing(filesystem, config.log_dir);
  const auto info = filesystem.info(existing);
  if (!info || info->type != FileType::directory || !writable(existing)) {
    return {{Verdict::failure, "log file",
             "LOG_DIR=" + config.log_dir + ": " + existing.string() +
                 " is no directory that this user may write; make it, set LOG_DIR, or "
                 "ENABLE_LOG_PERSISTENCE=false"}};
  }
  return {{Verdict::ok, "log file", "LOG_DIR=" + config.log_dir + " may be written"}};
}

int check_command(const Config& config) {
  PosixFilesystem filesystem;
  int exit_code = kExitClean;
  const auto print = [&](const CheckLine& line) {
    std::puts(to_text(line).c_str());
    std::fflush(stdout);
    if (line.verdict == Verdict::failure) {
      exit_code = kExitFailed;
    }
  };
  print({Verdict::ok, "settings", "valid; objects go to " + config.destination()});
  for (const std::string& warning : config.warnings) {
    print({Verdict::warning, "settings", warning});
  }
  const auto print_all = [&](const std::vector<CheckLine>& lines) {
    std::for_each(lines.begin(), lines.end(), print);
  };
  if (!config.streams().empty()) {
    print_all(check_spool(config, filesystem));
  }
  print_all(check_log_dir(config, filesystem));
  print_all(check_listeners(config, filesystem));
  print_all(check_store(config, filesystem));
  return exit_code;
}

}  // namespace sluice
