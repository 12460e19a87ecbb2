// A block for Validate: bytes as a client sends them, framed and written as Frame and Spool do it.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/spool/segment_reader.h"
#include "common/xml/block_cost.h"
#include "fakes/fault_filesystem.h"
#include "segment_builder.h"
#include "stages/messages.h"
#include "xml/framing.h"

namespace sluice::test {

class EgressBlock {
 public:
  explicit EgressBlock(const SegmentSettings& settings) {
    CHECK_THAT(filesystem_.create_directories("/spool").ok());
    header_ = test_header(3);
    header_.settings = to_json(settings);
    builder_ = std::make_unique<SegmentBuilder>(filesystem_, "/spool", header_);
    segment_ = std::make_shared<SealedSegment>();
    segment_->id = header_.id;
    segment_->header = header_;
    segment_->settings = settings;
  }

  // One record: what one connection sends before it closes.
  void add(std::string_view stream) {
    TestBatch batch;
    FramerLimits limits;
    limits.event_bytes_max = segment_->settings.event_bytes_max;
    std::uint32_t events = 0;
    for (const Cut& cut : frame(stream, limits).cuts) {
      if (!cut.refused) {
        batch.pieces.push_back({static_cast<std::uint32_t>(cut.begin),
                                static_cast<std::uint32_t>(cut.length), cut.kind, cut.reason,
                                cut.continues});
        events += cut.kind == PieceKind::event ? 1 : 0;
      }
    }
    batch.run.push_back(Buffer::copy_of(as_bytes(stream), Charge()));
    pieces_ += batch.pieces.size();
    builder_->add(batch, static_cast<std::uint32_t>(stream.size()), events);
  }

  void flip_bit(std::uint64_t bit) {
    filesystem_.flip_bit(segment_path("/spool", header_.id), bit);
  }
  SealedSegment& segment() { return *segment_; }

  std::uint64_t file_bytes() const { return builder_->summary().end - kRecordsBegin; }
  // What Rotate charges for it.
  std::uint64_t room_bytes() const {
    return block_cost_bytes(segment_->settings, file_bytes(), pieces_);
  }

  // All of the segment as one block.
  Block block(MemoryBudget& budget) {
    auto file = filesystem_.open(segment_path("/spool", header_.id), OpenMode::read);
    CHECK_THAT(file.ok());
    segment_->file = std::move(*file);
    Block block;
    block.segment = segment_;
    block.last = true;
    block.begin = kRecordsBegin;
    block.end = builder_->summary().end;
    block.room = budget.charge_anyway(room_bytes());
    return block;
  }

 private:
  FaultFilesystem filesystem_;
  SegmentHeader header_;
  std::unique_ptr<SegmentBuilder> builder_;
  std::uint64_t pieces_ = 0;
  std::shared_ptr<SealedSegment> segment_;
};

}  // namespace sluice::test
