// SegmentWriter: turns batches into the bytes of a group, a COMMIT and its records, as parts for
// one gathered write. Pure: the caller writes and syncs, then says whether it is durable.
//
//   writer.begin_group(); writer.add(...); ...
//   write_all(file, writer.parts(), writer.group_offset()); file.fdatasync();
//   writer.group_durable();   or, to build it again elsewhere: writer.discard_group();
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "common/base/buffer.h"
#include "common/base/piece.h"
#include "common/spool/digest_builder.h"
#include "common/spool/segment_format.h"

namespace sluice {

class SegmentWriter {
 public:
  // Runs below this are copied next to each other; larger ones are written from where they are.
  static constexpr std::size_t kCopyBelowBytes = 16 * kKiB;

  explicit SegmentWriter(const SegmentHeader& header) : seed_(header) {
    summary_.end = kRecordsBegin;
  }

  struct Record {
    std::span<const Buffer> run;  // stays alive until the group is durable or discarded
    std::uint32_t run_bytes = 0;  // of all of it
    std::span<const Piece> pieces;
    std::uint32_t events = 0;
    WallTime received_at{};
    std::uint64_t connection_id = 0;
    PeerAddress peer;
    std::string_view client_name;  // at most 255 bytes
  };

  // Opens a group with a COMMIT that says how far the file is durable.
  void begin_group();
  void add(const Record& record);
  // Valid until the next call of anything else.
  [[nodiscard]] std::span<const std::span<const std::byte>> parts();
  [[nodiscard]] std::uint64_t group_offset() const { return summary_.end; }
  [[nodiscard]] std::uint64_t group_bytes() const { return group_end_ - summary_.end; }
  void group_durable();
  void discard_group();

  // What is durable.
  [[nodiscard]] SegmentSummary summary() const;
  [[nodiscard]] std::uint64_t run_bytes() const { return summary_.run_bytes; }
  [[nodiscard]] std::uint64_t pieces() const { return summary_.pieces(); }
  [[nodiscard]] bool has_records() const { return summary_.records > 0; }
  // No further index: the segment must be switched.
  [[nodiscard]] bool has_room_for(std::size_t pieces) const;

 private:
  struct Part {
    std::span<const std::byte> outside;  // empty: [begin, begin + bytes) of staging_
    std::size_t begin = 0;
    std::size_t bytes = 0;
  };
  void stage(std::span<const std::byte> bytes);
  // `bytes` zeros at the end of staging_, as part of the last part; returns their index.
  std::size_t stage_room(std::size_t bytes);
  void add_payload(const Record& record, RecordHeader& header);

  const CrcSeed seed_;
  SegmentSummary summary_;  // but for its digest
  DigestBuilder digest_;
  // The group being built.
  std::vector<std::byte> staging_;  // headers, tables, small runs
  std::vector<Part> parts_;
  std::vector<std::span<const std::byte>> spans_;
  std::vector<std::byte> digested_;  // the DATA headers of the group
  SegmentSummary group_;             // the summary once it is durable
  std::uint64_t group_end_ = kRecordsBegin;
};

}  // namespace sluice
