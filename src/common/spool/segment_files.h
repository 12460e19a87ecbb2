// The files of a segment in its stream's folder, and what becomes of them: names, side seals, the
// list of rejects, unlinking, setting aside. All calls block; those that change something are safe
// from any thread as long as one thread at a time works on one segment. The order of the steps is
// what makes a crash between any two of them harmless: docs/spool_format.md.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/platform/filesystem.h"
#include "common/spool/segment_format.h"
#include "common/spool/stream_directory.h"

namespace sluice {

Path segment_path(const Path& directory, const SegmentId& id);  // <directory>/seg-….wal
Path seal_path(const Path& directory, const SegmentId& id);     // <directory>/seg-….seal
Path rejects_path(const Path& directory, const SegmentId& id);  // <directory>/seg-….rejects

// Makes `path`, in the stream's folder, hold `content` (of encode_twin). Durable when it returns
// well: tmp, sync, rename, directory sync, each made again where a directory sync failed. Spends
// the reserve on a full disk. Fatal otherwise, with the errno; the old content may stand there or
// this.
Status write_twin(StreamDirectory& stream, const Path& path, const std::string& content);

// As write_twin.
Status write_side_seal(StreamDirectory& stream, const SegmentId& id, const SegmentSeal& seal);
// Nothing where there is none. Rejected where there is one that does not verify: it never counts as
// absent. Fatal where it cannot be read.
Result<std::optional<SegmentSeal>> read_side_seal(Filesystem& filesystem, const Path& directory,
                                                  const SegmentId& id);

// The rejected pieces of a segment, before the first PUT of one that has some. As write_side_seal
// and read_side_seal.
Status write_rejects(StreamDirectory& stream, const SegmentId& id, const RejectList& list);
Result<std::optional<RejectList>> read_rejects(Filesystem& filesystem, const Path& directory,
                                               const SegmentId& id);

// After every object of the segment is confirmed: `.wal`, directory sync, `.seal`, `.rejects`. What
// is gone already is no error, so that it can be called again after any failure: which is only
// where the `.wal` is still there.
Status unlink_segment(StreamDirectory& stream, const SegmentId& id);

struct SetAside {
  std::string reason;       // one sentence for the operator
  std::string answer = {};  // of the store, where it was that; escaped and cut by us
  std::uint64_t events = 0;
  std::uint64_t malformed = 0;
  bool delivered = false;  // what verifies of it is in the store: there is nothing to replay
};
// Moves a segment into quarantine/ with its `.seal` and `.rejects` and a `.why.json`: linked there,
// directory sync, then unlinked here, `.wal` first. Can be called again after any failure.
Status set_segment_aside(StreamDirectory& stream, const SegmentId& id, const SetAside& why);

// What the `.why.json` in `quarantine` says: the reason, and whether the store has it. Where there
// is none, or it cannot be read, the reason says so.
SetAside read_set_aside(Filesystem& filesystem, const Path& quarantine, const SegmentId& id);

// What an operator is told to do once the cause is gone.
std::string replay_command_of(const SegmentId& id);

// The way back: `.seal` and `.rejects` are linked into the stream's folder, directory sync, then
// `.wal`, directory sync; then unlinked in quarantine/, `.wal` first, `.why.json` last. So a `.wal`
// is never without its `.seal`, here or there. Can be called again after any failure, also where
// the `.wal` is no longer in quarantine/. While no server runs.
Status return_segment(StreamDirectory& stream, const SegmentId& id);

struct QuarantinedRange {
  KeptRange range;              // of the segment's file
  std::string_view label;       // "damage" or "torn": part of the name
  std::uint64_t bytes_max = 0;  // what to copy at most, from the begin on
  std::string reason;
};
// Copies bytes that do not verify to quarantine/seg-….<label>-<offset:016x> with a `.why.json`.
// Once: does nothing where that is there already.
Status quarantine_range(StreamDirectory& stream, const SegmentId& id, const File& file,
                        const QuarantinedRange& what);

}  // namespace sluice
