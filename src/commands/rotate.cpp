#include "commands/rotate.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>

#include "commands/exit_code.h"
#include "common/config/value_text.h"
#include "common/platform/posix_filesystem.h"
#include "common/spool/segment_catalog.h"
#include "common/spool/segment_format.h"

namespace sluice {

namespace {

constexpr std::uint64_t kLedgerBytesMax = 256 * kMiB;
// A start begins one, and so does a failed write.
constexpr std::size_t kLedgersMax = 3;
constexpr auto kLookInterval = std::chrono::milliseconds(50);

std::vector<std::string> newest_ledgers(std::vector<DirectoryEntry> entries) {
  std::vector<std::pair<std::uint64_t, std::string>> found;
  for (const DirectoryEntry& entry : entries) {
    std::string_view name = entry.name;
    if (!name.starts_with("ledger-") || !name.ends_with(".jsonl")) {
      continue;
    }
    name.remove_prefix(7);
    name.remove_suffix(6);
    if (const auto generation = parse_count(name)) {
      found.emplace_back(*generation, entry.name);
    }
  }
  std::sort(found.begin(), found.end());
  std::vector<std::string> names;
  for (std::size_t i = found.size() - std::min(found.size(), kLedgersMax); i < found.size(); ++i) {
    names.push_back(found[i].second);
  }
  return names;
}

std::string seconds_text(std::chrono::milliseconds time) {
  return duration_text(time, std::chrono::seconds(1)) + " s";
}

// Waits until none of `segments` is in the spool. False when the time is up: `segments` is what is
// left.
Result<bool> wait_until_gone(std::set<SegmentId>& segments, Filesystem& filesystem,
                             const Path& spool_dir, MonotonicTime deadline) {
  for (;;) {
    auto present = segments_with_records(filesystem, spool_dir);
    if (!present) {
      return present.error();
    }
    std::set<SegmentId> left;
    std::set_intersection(segments.begin(), segments.end(), present->begin(), present->end(),
                          std::inserter(left, left.end()));
    segments = std::move(left);
    if (segments.empty()) {
      return true;
    }
    if (std::chrono::steady_clock::now() >= deadline) {
      return false;
    }
    std::this_thread::sleep_for(kLookInterval);
  }
}

int fail(const std::string& message) {
  std::fprintf(stderr, "sluice rotate: %s\n", message.c_str());
  return kExitFailed;
}

// The ledger is written just before the segment goes, or, on a full disk, a little later.
Result<std::vector<LedgerEntry>> wait_for_objects(const std::set<SegmentId>& segments,
                                                  Filesystem& filesystem, const Path& spool_dir) {
  const MonotonicTime deadline = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  for (;;) {
    auto objects = objects_of(segments, filesystem, spool_dir);
    if (!objects) {
      return objects;
    }
    std::set<SegmentId> missing = segments;
    for (const LedgerEntry& object : *objects) {
      missing.erase(object.segment);
    }
    if (missing.empty() || std::chrono::steady_clock::now() >= deadline) {
      return objects;
    }
    std::this_thread::sleep_for(kLookInterval);
  }
}

}  // namespace

std::optional<int> running_pid(const Path& spool_dir) {
  PosixFilesystem filesystem;
  const auto content = read_file(filesystem, spool_dir / "LOCK", 64);
  if (!content) {
    return std::nullopt;
  }
  const std::string_view text = *content;
  const auto pid = parse_count(text.substr(0, text.find_first_not_of("0123456789")));
  if (!pid || *pid == 0 || *pid > 0x7FFFFFFF) {
    return std::nullopt;
  }
  // The file outlives the process: a stale pid may be anybody's by now.
  std::ifstream comm("/proc/" + std::to_string(*pid) + "/comm");
  std::string name;
  if (!std::getline(comm, name) || name != "sluice") {
    return std::nullopt;
  }
  return static_cast<int>(*pid);
}

Result<std::set<SegmentId>> segments_with_records(Filesystem& filesystem, const Path& spool_dir) {
  std::set<SegmentId> segments;
  for (const Stream stream : {Stream::xml, Stream::logs}) {
    const auto listing = list_segments(filesystem, spool_dir / std::string(to_string(stream)));
    if (!listing && listing.error().code == ENOENT) {
      continue;  // it was never served here
    }
    if (!listing) {
      return listing.error();
    }
    for (const SegmentListing::Segment& segment : listing->segments) {
      if (segment.bytes > kRecordsBegin) {
        segments.insert(segment.id);
      }
    }
  }
  return segments;
}

Result<std::vector<LedgerEntry>> objects_of(const std::set<SegmentId>& segments,
                                            Filesystem& filesystem, const Path& spool_dir) {
  auto entries = filesystem.list(spool_dir);
  if (!entries) {
    return entries.error();
  }
  std::vector<LedgerEntry> objects;
  for (const std::string& name : newest_ledgers(std::move(*entries))) {
    const auto content = read_file(filesystem, spool_dir / name, kLedgerBytesMax);
    if (!content) {
      return content.error();
    }
    for (std::string_view rest = *content; !rest.empty();) {
      const std::size_t end = std::min(rest.find('\n'), rest.size());
      const std::string_view line = rest.substr(0, end);
      rest.remove_prefix(std::min(end + 1, rest.size()));
      // A line that is being written is read again at the next look.
      if (auto entry = ledger_entry_from_json(line); entry && segments.contains(entry->segment)) {
        objects.push_back(std::move(*entry));
      }
    }
  }
  return objects;
}

int rotate_command(const Config& config, const RotateOptions& options) {
  PosixFilesystem filesystem;
  const Path spool_dir = config.spool_dir;
  const auto pid = running_pid(spool_dir);
  if (!pid) {
    return fail("no server runs on SPOOL_DIR=" + config.spool_dir +
                "; start it with `sluice run`, or set SPOOL_DIR as it was set there");
  }
  const auto found = segments_with_records(filesystem, spool_dir);
  if (!found) {
    return fail(found.error().message);
  }
  if (::kill(*pid, SIGUSR1) != 0) {
    return fail("the server runs as pid " + std::to_string(*pid) +
                ", but may not be signalled: run this as its user");
  }
  if (found->empty()) {
    std::puts("nothing to rotate: the spool holds no event");
    return kExitClean;
  }
  std::set<SegmentId> left = *found;
  const MonotonicTime deadline = std::chrono::steady_clock::now() + options.timeout;
  const auto gone = wait_until_gone(left, filesystem, spool_dir, deadline);
  if (!gone) {
    return fail(gone.error().message);
  }
  std::set<SegmentId> done;
  std::set_difference(found->begin(), found->end(), left.begin(), left.end(),
                      std::inserter(done, done.end()));
  const auto objects = wait_for_objects(done, filesystem, spool_dir);
  if (!objects) {
    return fail(objects.error().message);
  }
  for (const LedgerEntry& object : *objects) {
    std::printf("%s\n", object.key.c_str());
  }
  if (!*gone) {
    return fail(std::to_string(left.size()) + " of " + std::to_string(found->size()) +
                " segments are still in the spool after " + seconds_text(options.timeout) +
                "; they are sealed and safe on disk. `sluice status` says what holds them");
  }
  return kExitClean;
}

}  // namespace sluice
