// SegmentRecovery: what is left of a segment that nobody sealed. Synced and dropped from the page
// cache first, so that what is read is what the disk holds; then every record that verifies is
// kept, and bytes that do not are told apart: damage before the last offset known durable, a torn
// tail after it. In steps, so that a thread has other things to do between them. Writes nothing.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "common/platform/filesystem.h"
#include "common/spool/digest_builder.h"
#include "common/spool/segment_format.h"
#include "common/spool/segment_reader.h"

namespace sluice {

class SegmentRecovery {
 public:
  // `file` is open for reading and writing (a sync needs that on some systems).
  SegmentRecovery(std::unique_ptr<File> file, const SegmentHeader& header);

  // Reads about `bytes` more. True once all is read. Blocks as long as the disk takes.
  Result<bool> step(std::uint64_t bytes);

  // Once step() gave true.
  [[nodiscard]] SegmentSeal seal() const;
  [[nodiscard]] const std::vector<KeptRange>& damage() const { return damage_; }
  // From the last record to the end of the file, unless that is all zeros.
  [[nodiscard]] std::optional<KeptRange> torn_tail() const { return torn_; }
  [[nodiscard]] const File& file() const { return *file_; }

 private:
  Status open();
  void keep(const RecordHeader& header);
  Status conclude();
  Result<bool> all_zero(KeptRange range) const;

  std::unique_ptr<File> file_;
  const SegmentHeader header_;
  const CrcSeed seed_;
  std::uint64_t file_bytes_ = 0;
  std::optional<RecordCursor> cursor_;
  SegmentSummary summary_;
  DigestBuilder digest_;
  std::vector<KeptRange> kept_;
  std::uint64_t pending_begin_ = kRecordsBegin;  // of records that hold no pieces (COMMIT)
  bool pending_ = false;
  std::vector<KeptRange> gaps_;
  std::uint64_t durable_offset_ = 0;
  std::vector<KeptRange> damage_;
  std::optional<KeptRange> torn_;
};

}  // namespace sluice
