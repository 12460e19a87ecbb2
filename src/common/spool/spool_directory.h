// SpoolDirectory: $SPOOL_DIR as a whole. Taking possession of it (owner, lock, FORMAT), what its
// streams need to begin, and how much disk it uses. Outlives everything that touches the spool.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "common/platform/clock.h"
#include "common/platform/filesystem.h"
#include "common/platform/random.h"
#include "common/spool/crash_counts.h"
#include "common/spool/directory_sync.h"
#include "common/spool/disk_reserve.h"
#include "common/spool/segment_settings.h"
#include "common/spool/stream_directory.h"

namespace sluice {

// Why a spool cannot be used; nothing in it was touched.
struct SpoolRefusal {
  enum class Kind : std::uint8_t {
    unusable,           // cannot be made, read or written
    locked,             // another process holds it
    unsafe,             // of another owner, or open to the world
    newer_version,      // written by a newer program
    other_destination,  // holds events for another bucket or directory
  };
  Kind kind = Kind::unusable;
  Error error;  // a sentence for the operator

  [[nodiscard]] int exit_code() const { return kind == Kind::other_destination ? 2 : 3; }
};

// What FORMAT holds.
struct SpoolFormat {
  SpoolUuid uuid{};
  SpoolSecret secret{};
  std::string instance;  // made once, for those who set no INSTANCE_ID
};

class SpoolDirectory {
 public:
  struct Options {
    Path path;
    std::string destination;  // SegmentSettings::destination
    std::uint32_t owner = 0;  // the uid that we run as
    std::uint64_t pid = 0;    // for LOCK
    Random64 random = system_random();
  };

  // Takes the lock, reads FORMAT or makes it, from the segments' headers where it was lost. Blocks;
  // reads the header of each segment that holds something.
  static std::variant<std::unique_ptr<SpoolDirectory>, SpoolRefusal> open(Filesystem& filesystem,
                                                                          const Clock& clock,
                                                                          Options options);

  [[nodiscard]] const Path& path() const { return options_.path; }
  [[nodiscard]] Path quarantine() const { return options_.path / "quarantine"; }
  [[nodiscard]] const SpoolFormat& format() const { return format_; }
  [[nodiscard]] bool empty_at_start() const { return empty_at_start_; }
  // Of the processes before this one.
  [[nodiscard]] const CrashCounts& crashes() const { return crashes_; }
  // Warnings for the log: group access, FORMAT rebuilt.
  [[nodiscard]] const std::vector<std::string>& warnings() const { return warnings_; }

  // The folder of one stream, made where missing; call once a stream. `settings` are those of new
  // segments.
  Result<std::unique_ptr<StreamDirectory>> stream(Stream stream, const SegmentSettings& settings);

  struct Usage {
    std::uint64_t bytes = 0;  // allocated, of everything under the path
    std::uint64_t quarantine_bytes = 0;
    std::uint64_t xml_bytes = 0;  // of the folder of that stream alone
    std::uint64_t logs_bytes = 0;
    [[nodiscard]] std::uint64_t of(Stream stream) const {
      return stream == Stream::xml ? xml_bytes : logs_bytes;
    }
  };
  // Lists every folder. Thread-safe.
  [[nodiscard]] Result<Usage> measure() const;
  DiskReserve& reserve() { return reserve_; }

 private:
  SpoolDirectory(Filesystem& filesystem, const Clock& clock, Options options);
  std::optional<SpoolRefusal> take();
  std::optional<SpoolRefusal> check_owner();
  std::optional<SpoolRefusal> read_segments();
  std::optional<SpoolRefusal> read_or_make_format();
  void note_segment(const SegmentId& id);

  Filesystem& filesystem_;
  const Clock& clock_;
  const Options options_;
  DiskReserve reserve_;
  std::shared_ptr<DirectorySync> quarantine_entries_;
  std::unique_ptr<FileLock> lock_;
  SpoolFormat format_;
  std::optional<SegmentHeader> newest_header_;
  std::uint64_t num_max_ = 0;  // of all that were ever seen
  bool empty_at_start_ = true;
  CrashCounts crashes_;
  std::vector<std::string> warnings_;
};

}  // namespace sluice
