// Ledger: a JSON line for each object that the store has confirmed, in generations
// ledger-<generation>.jsonl. Evidence for operators: losing it costs repeated PUTs and no event, so
// a line that cannot be written is kept in memory, bounded, and never stops anything. Thread-safe:
// the Uploads of all streams write to one, and egress may be built again beside it. Readers work
// beside it.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "common/base/ids.h"
#include "common/platform/clock.h"
#include "common/platform/filesystem.h"

namespace sluice {

struct LedgerEntry {
  std::string key;
  std::string object;  // "data", "raw", "reasons" or "segment"
  Stream stream = Stream::xml;
  SegmentId segment;
  std::uint64_t bytes = 0;
  std::uint64_t events = 0;
  std::string sha256;  // lower-case hex, of the object's bytes; empty where unknown (multipart)
  std::string etag;
  std::string digest;  // of the segment, lower-case hex
  std::uint64_t first_sequence = 0;
  std::uint64_t last_sequence = 0;
  WallTime first_received_at{};
  WallTime confirmed_at{};
  std::vector<std::pair<std::string, std::string>> metadata = {};  // where the store keeps none
  bool operator==(const LedgerEntry&) const = default;
};

// One line, without its line feed.
std::string to_json(const LedgerEntry& entry);
Result<LedgerEntry> ledger_entry_from_json(std::string_view line);

class Ledger {
 public:
  static constexpr std::size_t kPendingLinesMax = 10'000;

  struct Options {
    Path directory;  // $SPOOL_DIR
    std::chrono::hours keep = std::chrono::hours(24 * 90);
    std::uint64_t generation_bytes = 64 * kMiB;
  };
  Ledger(Filesystem& filesystem, const Clock& clock, Options options)
      : filesystem_(filesystem), clock_(clock), options_(std::move(options)) {}

  // Kept in memory until flush(); the oldest goes where there are too many.
  void append(const LedgerEntry& entry);
  // Writes and syncs all that is pending, with one sync; drops generations that are too old. On an
  // error (the disk is full, say) everything stays pending. Blocks.
  Status flush();
  [[nodiscard]] const Path& directory() const { return options_.directory; }
  [[nodiscard]] std::size_t pending() const;
  [[nodiscard]] std::uint64_t lost() const;

 private:
  Status open_generation();
  void drop_old_generations();

  Filesystem& filesystem_;
  const Clock& clock_;
  const Options options_;
  mutable std::mutex mutex_;  // of all below
  std::deque<std::string> pending_;
  std::uint64_t lost_ = 0;
  std::unique_ptr<File> file_;
  std::uint64_t generation_ = 0;
  std::uint64_t offset_ = 0;
};

// Calls `visit` for every line that parses, oldest generation first; lines that do not (a torn
// last one) are skipped. Stops when it gives false.
Status read_ledger(Filesystem& filesystem, const Path& directory,
                   const std::function<bool(const LedgerEntry&)>& visit);

// 0 where there is none. Looks at the newest generations only.
std::uint64_t highest_segment_in_ledger(Filesystem& filesystem, const Path& directory);

}  // namespace sluice
