// StreamDirectory: the folder of one stream's segments, and what Spool, Rotate and Upload share of
// it: the counter that numbers segments, which number Spool writes, and the syncs of the folder's
// entries. Outlives every stage, also a rebuilt egress. Thread-safe but where noted.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "common/platform/clock.h"
#include "common/platform/filesystem.h"
#include "common/platform/random.h"
#include "common/spool/directory_sync.h"
#include "common/spool/disk_reserve.h"
#include "common/spool/segment_format.h"

namespace sluice {

class StreamDirectory {
 public:
  struct Options {
    Stream stream = Stream::xml;
    Path directory;   // must exist
    Path quarantine;  // must exist
    SpoolUuid uuid{};
    SpoolSecret secret{};
    std::string settings;        // JSON of the SegmentSettings of new segments
    std::uint64_t next_num = 1;  // above all numbers ever used
    Random64 random = system_random();
    DiskReserve* reserve = nullptr;
    std::shared_ptr<DirectorySync> quarantine_entries;  // made where empty
  };

  StreamDirectory(Filesystem& filesystem, const Clock& clock, Options options);
  StreamDirectory(const StreamDirectory&) = delete;
  StreamDirectory& operator=(const StreamDirectory&) = delete;

  [[nodiscard]] Filesystem& filesystem() const { return filesystem_; }
  [[nodiscard]] const Clock& clock() const { return clock_; }
  [[nodiscard]] Stream stream() const { return options_.stream; }
  [[nodiscard]] const Path& path() const { return options_.directory; }
  [[nodiscard]] const Path& quarantine() const { return options_.quarantine; }
  [[nodiscard]] DirectorySync& entries() { return entries_; }
  [[nodiscard]] DirectorySync& quarantine_entries() { return *options_.quarantine_entries; }
  [[nodiscard]] const SpoolSecret& secret() const { return options_.secret; }
  // Runs `write` with the reserve behind it, if there is one.
  Status with_reserve(const std::function<Status()>& write) const;

  struct NewSegment {
    SegmentHeader header;
    std::unique_ptr<File> file;
  };
  // `count` segments with durable headers and directory entries (one sync for all), `bytes` of disk
  // allocated for each as far as there are. On an error none is left. Blocks.
  Result<std::vector<NewSegment>> create_segments(std::size_t count, std::uint64_t bytes);
  // The header that create_segments gave the segment `id`.
  [[nodiscard]] SegmentHeader header_of(const SegmentId& id) const;

  // Segments numbered below this were there when the process started.
  [[nodiscard]] std::uint64_t first_new_num() const { return options_.next_num; }
  // Spool writes this number, or will: listings leave it and all above alone.
  std::atomic<std::uint64_t> writing_num;
  // The highest number whose file is durable: a segment below it may be unlinked.
  [[nodiscard]] std::uint64_t newest_durable_num() const { return newest_durable_.load(); }
  // Segments that Spool finished and could not hand over: Rotate lists when it grows.
  std::atomic<std::uint64_t> finished_unhanded{0};
  // Segments that Spool had to make itself.
  std::atomic<std::uint64_t> made_by_writer{0};
  // Sequence of the last durable piece.
  std::atomic<std::uint64_t> durable_sequence{0};

  // Pieces of segments that this process wrote, until Rotate has taken them into its account.
  void note_finished(std::uint64_t num, std::uint64_t pieces);
  std::optional<std::uint64_t> take_finished(std::uint64_t num);

  // Rotate's account of the pieces in each segment, kept across a rebuilt egress. For one thread at
  // a time.
  std::map<std::uint64_t, std::uint64_t> pieces_by_num;

 private:
  Status create_files(std::vector<NewSegment>& made, std::size_t count, std::uint64_t bytes);

  Filesystem& filesystem_;
  const Clock& clock_;
  Options options_;
  DirectorySync entries_;
  std::atomic<std::uint64_t> next_num_;
  std::atomic<std::uint64_t> newest_durable_{0};
  std::mutex finished_mutex_;
  std::map<std::uint64_t, std::uint64_t> finished_;
};

}  // namespace sluice
