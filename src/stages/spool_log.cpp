#include "stages/spool_log.h"

#include "common/base/ids.h"
#include "common/ndjson/spooled_lines.h"

namespace sluice {
namespace {

// Lines are written when there are so many bytes of them, and at the end of a group.
constexpr std::size_t kWriteBytes = 256 * kKiB;
// What a larger group needed is given back.
constexpr std::size_t kBytesKept = kMiB;

void give_back(std::string& text) {
  text.clear();
  if (text.capacity() > kBytesKept) {
    text = {};
  }
}

}  // namespace

// Below the first sequence that this process gives: the note stands until a segment is switched,
// and who dies before finds by it what came since.
Status SpoolLog::begin() { return complete(sequence_of(stream_.first_new_num(), 0)); }

Status SpoolLog::complete(std::uint64_t next_sequence) {
  return file_.complete(next_sequence, [this](std::uint64_t from, const LogFile::TakeLines& take) {
    return for_each_spooled_line(stream_, from, take);
  });
}

Status SpoolLog::append(const std::vector<Batch>& group, std::uint64_t first_sequence) {
  std::uint64_t begin = first_sequence;  // of lines_
  std::uint64_t end = first_sequence;
  lines_.clear();
  for (std::size_t i = 0; i < group.size(); ++i) {
    end += group[i].pieces.size();
    if (i < batches_written_) {
      begin = end;
      continue;
    }
    if (file_.complete_due()) {
      continue;
    }
    render(group[i]);
    if (lines_.size() < kWriteBytes && i + 1 < group.size()) {
      continue;
    }
    if (Status status = file_.append(begin, lines_); !status) {
      return status;
    }
    batches_written_ = i + 1;
    begin = end;
    lines_.clear();
  }
  if (file_.complete_due()) {
    // The group is in the segment already: its lines are made from there, with all that a failed
    // sync has left doubtful.
    if (Status status = complete(end); !status) {
      return status;
    }
  }
  batches_written_ = 0;
  give_back(lines_);
  return {};
}

void SpoolLog::render(const Batch& batch) {
  if (batch.pieces.empty()) {
    return;
  }
  std::span<const std::byte> run = batch.run.front().bytes();
  if (batch.run.size() > 1) {
    joined_.clear();
    for (const Buffer& part : batch.run) {
      joined_ += part.text();
    }
    run = std::as_bytes(std::span(joined_));
  }
  RecordView record;
  record.header.received_at = batch.first_byte_at;
  record.pieces = batch.pieces;
  record.run = run;
  append_lines(record, 0, 0, renderer_, lines_);
  give_back(joined_);
}

Status SpoolLog::sync(std::uint64_t next_sequence) {
  if (file_.complete_due()) {
    if (Status status = complete(next_sequence); !status) {
      return status;
    }
  }
  return file_.sync_and_note(next_sequence);
}

}  // namespace sluice
