#include "common/spool/segment_writer.h"

#include <algorithm>
#include <limits>

#include "common/base/check.h"
#include "common/base/crc32c.h"

namespace sluice {

void SegmentWriter::begin_group() {
  discard_group();
  RecordHeader commit;
  commit.type = RecordType::commit;
  commit.offset = summary_.end;
  commit.payload_crc = seed_.at(commit.offset);
  commit.durable_offset = summary_.end;
  commit.segment_first_received_at = summary_.first_received_at;
  const std::size_t at = stage_room(kRecordHeaderBytes);
  encode_record_header(commit, seed_, std::span(staging_).subspan(at).first<kRecordHeaderBytes>());
  group_end_ = summary_.end + kRecordHeaderBytes;
}

void SegmentWriter::add(const Record& record) {
  CHECK_THAT(has_room_for(record.pieces.size()) && group_end_ > summary_.end);
  CHECK_THAT(record.client_name.size() <= std::numeric_limits<std::uint8_t>::max());
  RecordHeader header;
  header.type = RecordType::batch;
  header.offset = group_end_;
  header.piece_count = static_cast<std::uint32_t>(record.pieces.size());
  header.event_count = record.events;
  header.first_index = static_cast<std::uint32_t>(group_.pieces());
  header.run_bytes = record.run_bytes;
  header.client_name_bytes = static_cast<std::uint8_t>(record.client_name.size());
  header.payload_bytes = header.piece_count * static_cast<std::uint32_t>(kPieceBytes) +
                         record.run_bytes + header.client_name_bytes;
  header.received_at = record.received_at;
  header.connection_id = record.connection_id;
  header.peer = record.peer;
  if (group_.records == 0) {
    group_.first_received_at = record.received_at;
  }
  header.segment_first_received_at = group_.first_received_at;

  const std::size_t at = stage_room(kRecordHeaderBytes);
  add_payload(record, header);
  const auto encoded = std::span(staging_).subspan(at).first<kRecordHeaderBytes>();
  encode_record_header(header, seed_, encoded);
  digested_.insert(digested_.end(), encoded.begin(), encoded.end());

  group_end_ = header.end();
  ++group_.records;
  group_.events += record.events;
  group_.malformed += record.pieces.size() - record.events;
  group_.run_bytes += record.run_bytes;
  group_.last_received_at = record.received_at;
}

void SegmentWriter::add_payload(const Record& record, RecordHeader& header) {
  const std::size_t table = stage_room(record.pieces.size() * kPieceBytes);
  std::byte* entry = staging_.data() + table;
  for (const Piece& piece : record.pieces) {
    encode_piece(piece, std::span<std::byte, kPieceBytes>(entry, kPieceBytes));
    entry += kPieceBytes;
  }
  std::uint32_t crc = crc32c(std::span(staging_).subspan(table), seed_.at(header.offset));
  std::size_t run_bytes = 0;
  for (const Buffer& part : record.run) {
    crc = crc32c(part.bytes(), crc);
    run_bytes += part.size();
    if (record.run_bytes < kCopyBelowBytes) {
      stage(part.bytes());
    } else if (!part.empty()) {
      parts_.push_back({part.bytes(), 0, part.size()});
    }
  }
  CHECK_THAT(run_bytes == record.run_bytes);
  stage(as_bytes(record.client_name));
  header.payload_crc = crc32c(as_bytes(record.client_name), crc);
}

std::span<const std::span<const std::byte>> SegmentWriter::parts() {
  spans_.clear();
  for (const Part& part : parts_) {
    spans_.push_back(part.outside.empty() ? std::span(staging_).subspan(part.begin, part.bytes)
                                          : part.outside);
  }
  return spans_;
}

void SegmentWriter::group_durable() {
  group_.end = group_end_;
  summary_ = group_;
  digest_.update(digested_);
  discard_group();
}

void SegmentWriter::discard_group() {
  staging_.clear();
  parts_.clear();
  spans_.clear();
  digested_.clear();
  group_ = summary_;
  group_end_ = summary_.end;
}

SegmentSummary SegmentWriter::summary() const {
  SegmentSummary summary = summary_;
  summary.digest = digest_.digest();
  return summary;
}

bool SegmentWriter::has_room_for(std::size_t pieces) const {
  return group_.pieces() + pieces <= std::numeric_limits<std::uint32_t>::max();
}

void SegmentWriter::stage(std::span<const std::byte> bytes) {
  const std::size_t at = stage_room(bytes.size());
  std::copy(bytes.begin(), bytes.end(), staging_.begin() + static_cast<std::ptrdiff_t>(at));
}

std::size_t SegmentWriter::stage_room(std::size_t bytes) {
  const std::size_t at = staging_.size();
  staging_.resize(at + bytes);
  if (parts_.empty() || !parts_.back().outside.empty()) {
    parts_.push_back({{}, at, 0});
  }
  parts_.back().bytes += bytes;
  return at;
}

}  // namespace sluice
