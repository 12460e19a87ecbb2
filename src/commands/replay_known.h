// Which segments a spool has or had, by uid: what keeps a file from being replayed twice.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "commands/replay_notes.h"
#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/platform/filesystem.h"

namespace sluice {

class KnownSegments {
 public:
  // Lists the spool and reads its notes; the ledger only when it is needed.
  static Result<KnownSegments> read(Filesystem& filesystem, const Path& spool_dir);

  struct Place {
    SegmentId segment;
    std::string sentence;   // where it is, and what to do
    bool is_noted = false;  // replays.jsonl has it
    bool is_set_aside = false;
  };
  // Nothing where none has this uid. Fatal: the ledger cannot be read.
  Result<std::optional<Place>> find(std::uint64_t uid);
  // Whether an export of this segment was replayed: the file.
  [[nodiscard]] std::optional<std::string> replayed_export(const SegmentId& segment) const;
  void add(const SegmentId& segment, Stream stream) { spooled_[segment.uid] = {segment, stream}; }
  // In the folder of which stream it lies; nothing where in none.
  [[nodiscard]] std::optional<Stream> spooled(const SegmentId& segment) const;
  [[nodiscard]] const std::vector<SegmentId>& set_aside() const { return set_aside_; }

 private:
  KnownSegments(Filesystem& filesystem, Path spool_dir)
      : filesystem_(filesystem), spool_dir_(std::move(spool_dir)) {}
  Result<std::optional<Place>> find_in_ledger(std::uint64_t uid);

  Filesystem& filesystem_;
  Path spool_dir_;
  struct Spooled {
    SegmentId segment;
    Stream stream = Stream::xml;
  };
  std::map<std::uint64_t, Spooled> spooled_;  // in the folder of a stream
  std::vector<SegmentId> set_aside_;          // ascending
  std::map<std::uint64_t, ReplayNote> notes_;
  std::optional<std::vector<std::uint64_t>> delivered_;  // uids in the ledger, ascending
};

}  // namespace sluice
