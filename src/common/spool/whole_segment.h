// WholeSegment: a segment that comes into the spool sealed and whole, or not at all: written under
// a temporary name, which the next start of a server removes, synced, and linked in with one entry.
// For whoever holds the spool's lock while no server runs. Blocks. Thread-compatible.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "common/base/buffer.h"
#include "common/base/piece.h"
#include "common/base/result.h"
#include "common/net/peer_address.h"
#include "common/platform/filesystem.h"
#include "common/spool/segment_format.h"
#include "common/spool/segment_writer.h"
#include "common/spool/stream_directory.h"

namespace sluice {

class WholeSegment {
 public:
  // A piece and where it was received; `begin` of the piece does not matter.
  struct Entry {
    std::span<const std::byte> bytes;
    PieceKind kind = PieceKind::event;
    CutReason reason = CutReason::none;
    bool continues = false;
    WallTime received_at{};
    PeerAddress peer;
  };

  // Fatal, with the errno, as all below: the disk refuses.
  static Result<std::unique_ptr<WholeSegment>> begin(StreamDirectory& stream,
                                                     const SegmentHeader& header);
  WholeSegment(const WholeSegment&) = delete;
  WholeSegment& operator=(const WholeSegment&) = delete;
  // Leaves nothing where it was not published.
  ~WholeSegment();

  Status add(const Entry& entry);
  // Durable when it returns well. After an error it may be there or not, whole in any case.
  Status publish();
  [[nodiscard]] SegmentSummary summary() const { return writer_.summary(); }

 private:
  struct Pending {  // a record
    std::vector<std::byte> run;
    std::vector<Piece> pieces;
    std::uint32_t events = 0;
    WallTime received_at{};
    PeerAddress peer;
  };
  WholeSegment(StreamDirectory& stream, const SegmentHeader& header);
  Status write_group();

  StreamDirectory& stream_;
  const SegmentHeader header_;
  const Path path_;
  const Path temporary_;
  SegmentWriter writer_;
  std::unique_ptr<File> file_;
  std::vector<Pending> group_;
  std::size_t group_bytes_ = 0;
};

}  // namespace sluice
