// A log file on a disk that fails, with a spool that is a list of records, and the judge: which
// lines were ever durable in the spool, against all files of the log.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/buffer.h"
#include "common/log/log.h"
#include "common/ndjson/log_file.h"
#include "fakes/fault_filesystem.h"
#include "test_clock.h"

namespace sluice {

struct LogRig {
  explicit LogRig(LogFile::Options given = {}) : options(std::move(given)) {
    log::set_level(log::Level::error);
    for (const char* directory : {"/logs", "/spool/logs", "/spool/quarantine"}) {
      REQUIRE(disk.create_directories(directory));
    }
    options.path = path;
    start();
  }

  // A new process.
  void start() {
    log_file.reset();
    StreamDirectory::Options of_stream;
    of_stream.stream = Stream::logs;
    of_stream.directory = "/spool/logs";
    of_stream.quarantine = "/spool/quarantine";
    stream.emplace(disk, clock, std::move(of_stream));
    log_file.emplace(*stream, options);
  }
  Status complete() {
    return log_file->complete(next, [&](std::uint64_t from, const LogFile::TakeLines& take) {
      for (auto it = spool.lower_bound(from); it != spool.end(); ++it) {
        if (Status status = take(it->first, it->second); !status) {
          return status;
        }
      }
      return Status();
    });
  }

  // A record that the spool has from now on; its line.
  std::string record(std::size_t bytes = 0) {
    std::string line = "line " + std::to_string(lines.size()) + ' ' + std::string(bytes, 'x');
    lines.push_back(line);
    spool[next++] = line + '\n';
    return line + '\n';
  }
  Status append(std::size_t bytes = 0) {
    const std::uint64_t first = next;
    return log_file->append(first, record(bytes));
  }
  // What Spool does where a segment is switched.
  Status switch_segment() {
    Status status = log_file->sync_and_note(next);
    if (status) {
      give_away();
    }
    return status;
  }
  void give_away() {
    spool.clear();
    next = ((next >> 32U) + 1) << 32U;
  }

  [[nodiscard]] std::string content(const Path& of) {
    auto text = read_file(disk, of, 64 * kMiB);
    return text ? *text : "none: " + text.error().message;
  }
  [[nodiscard]] std::string content() { return content(path); }
  void write(const Path& to, const std::string& text) {
    auto file = disk.open(to, OpenMode::create_or_open);
    REQUIRE(file);
    REQUIRE(write_all(**file, as_bytes(text), (*file)->info()->bytes));
  }
  [[nodiscard]] std::vector<std::string> files() {
    std::vector<std::string> names;
    const auto entries = disk.list("/logs");
    REQUIRE(entries);
    for (const DirectoryEntry& entry : *entries) {
      names.push_back(entry.name);
    }
    return names;
  }

  // All lines of ours in all files, the files in the order of their first one. Lines that begin
  // otherwise are those of others.
  [[nodiscard]] std::vector<std::string> found_lines() {
    std::vector<std::pair<std::size_t, std::vector<std::string>>> by_file;
    for (const std::string& name : files()) {
      const std::string text = content(Path("/logs") / name);
      std::vector<std::string> of_file;
      for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        if (text.compare(at, 5, "line ") == 0) {
          of_file.push_back(text.substr(at, end - at));
        }
        at = end + 1;
      }
      if (!of_file.empty()) {
        by_file.emplace_back(std::stoul(of_file.front().substr(5)), std::move(of_file));
      }
    }
    std::sort(by_file.begin(), by_file.end());
    std::vector<std::string> all;
    for (auto& [first, of_file] : by_file) {
      all.insert(all.end(), of_file.begin(), of_file.end());
    }
    return all;
  }
  void judge() {
    const std::vector<std::string> found = found_lines();
    const auto [should, is] = std::mismatch(lines.begin(), lines.end(), found.begin(), found.end());
    if (should != lines.end() || is != found.end()) {
      FAIL_CHECK("at ", should - lines.begin(), " of ", lines.size(), " lines: found ",
                 is == found.end() ? "none" : is->substr(0, 12), ", ", found.size(), " in all");
    }
  }

  const Path path = "/logs/server.log";
  LogFile::Options options;
  FaultFilesystem disk;
  ManualClock clock;
  std::map<std::uint64_t, std::string> spool;  // by sequence: durable, and not given away
  std::vector<std::string> lines;              // that were ever in it
  std::uint64_t next = 1ULL << 32U;
  std::optional<StreamDirectory> stream;
  std::optional<LogFile> log_file;
};

}  // namespace sluice
