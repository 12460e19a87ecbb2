// Segments for tests, written as Spool writes them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/base/buffer.h"
#include "common/base/check.h"
#include "common/platform/filesystem.h"
#include "common/spool/segment_files.h"
#include "common/spool/segment_format.h"
#include "common/spool/segment_settings.h"
#include "common/spool/segment_writer.h"

namespace sluice {

inline SegmentHeader test_header(std::uint64_t num = 1) {
  SegmentHeader header;
  header.uuid.fill(7);
  header.secret.fill(42);
  header.id = {num, 0x1122334455667700 + num};
  header.settings = to_json(SegmentSettings{});
  header.created_at = WallTime(std::chrono::seconds(1'700'000'000));
  return header;
}

// A batch of whole events; what lies between two of them is a line feed.
struct TestBatch {
  std::vector<Buffer> run;
  std::vector<Piece> pieces;
  std::uint32_t run_bytes = 0;
};

inline TestBatch test_batch(const std::vector<std::string>& events) {
  TestBatch batch;
  std::string run;
  for (const std::string& event : events) {
    batch.pieces.push_back(
        {static_cast<std::uint32_t>(run.size()), static_cast<std::uint32_t>(event.size())});
    run += event + "\n";
  }
  batch.run_bytes = static_cast<std::uint32_t>(run.size());
  // In two parts, as from two slabs.
  const auto bytes = as_bytes(run);
  batch.run.push_back(Buffer::copy_of(bytes.first(bytes.size() / 2), Charge()));
  batch.run.push_back(Buffer::copy_of(bytes.subspan(bytes.size() / 2), Charge()));
  return batch;
}

// Writes a segment with one group for each element of `groups`, one record for each batch.
class SegmentBuilder {
 public:
  SegmentBuilder(Filesystem& filesystem, const Path& directory, const SegmentHeader& header)
      : header_(header), writer_(header) {
    auto opened = filesystem.open(segment_path(directory, header.id), OpenMode::create_new);
    CHECK_THAT(opened.ok());
    file_ = std::move(*opened);
    auto encoded = encode_segment_header(header);
    CHECK_THAT(encoded.ok() && write_all(*file_, *encoded, 0).ok() && file_->fdatasync().ok());
    CHECK_THAT(filesystem.sync_directory(directory).ok());
  }

  std::string client_name;  // of the records to come

  void group(const std::vector<std::vector<std::string>>& batches) {
    std::vector<TestBatch> alive;
    writer_.begin_group();
    for (const auto& events : batches) {
      alive.push_back(test_batch(events));
      SegmentWriter::Record record;
      record.run = alive.back().run;
      record.run_bytes = alive.back().run_bytes;
      record.pieces = alive.back().pieces;
      record.events = static_cast<std::uint32_t>(events.size());
      record.received_at = WallTime(std::chrono::seconds(1'700'000'100 + records_++));
      record.connection_id = 5;
      record.peer.port = 4711;
      record.client_name = client_name;
      writer_.add(record);
    }
    CHECK_THAT(write_all(*file_, writer_.parts(), writer_.group_offset()).ok());
    CHECK_THAT(file_->fdatasync().ok());
    writer_.group_durable();
  }

  // A group of one record whose pieces are given.
  void add(const TestBatch& batch, std::uint32_t run_bytes, std::uint32_t events) {
    writer_.begin_group();
    SegmentWriter::Record record;
    record.run = batch.run;
    record.run_bytes = run_bytes;
    record.pieces = batch.pieces;
    record.events = events;
    record.received_at = WallTime(std::chrono::seconds(1'700'000'100 + records_++));
    record.connection_id = 5;
    record.peer.port = 4711;
    writer_.add(record);
    CHECK_THAT(write_all(*file_, writer_.parts(), writer_.group_offset()).ok());
    CHECK_THAT(file_->fdatasync().ok());
    writer_.group_durable();
  }

  void seal() {
    const auto record = encode_seal_record(writer_.summary(), CrcSeed(header_));
    CHECK_THAT(write_all(*file_, record, writer_.summary().end).ok() && file_->fdatasync().ok());
  }

  [[nodiscard]] SegmentSummary summary() const { return writer_.summary(); }
  [[nodiscard]] File& file() { return *file_; }

 private:
  SegmentHeader header_;
  SegmentWriter writer_;
  std::unique_ptr<File> file_;
  int records_ = 0;
};

}  // namespace sluice
