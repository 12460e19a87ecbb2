#include "common/spool/segment_recovery.h"

#include <algorithm>
#include <array>

#include "common/log/log.h"

namespace sluice {
namespace {

constexpr std::size_t kScanWindowBytes = kMiB;

// Appends [begin, end), joined to the last range where they touch.
void append(std::vector<KeptRange>& ranges, KeptRange range) {
  if (!ranges.empty() && ranges.back().end == range.begin) {
    ranges.back().end = range.end;
  } else {
    ranges.push_back(range);
  }
}

}  // namespace

SegmentRecovery::SegmentRecovery(std::unique_ptr<File> file, const SegmentHeader& header)
    : file_(std::move(file)), header_(header), seed_(header) {}

Status SegmentRecovery::open() {
  // What verifies afterwards is kept even where the sync fails: cutting at the last COMMIT would
  // lose events that were acknowledged.
  if (Status status = file_->fdatasync(); !status) {
    log::error("segment sync failed in recovery",
               {{"segment", to_string(header_.id)}, {"error", status.error().message}});
  }
  (void)file_->drop_cache().ok();
  auto info = file_->info();
  if (!info) {
    return info.error();
  }
  file_bytes_ = std::max(info->bytes, kRecordsBegin);
  cursor_.emplace(*file_, seed_, KeptRange{kRecordsBegin, file_bytes_},
                  RecordCursor::Options{.window_bytes = kScanWindowBytes, .verify_payload = true});
  return {};
}

Result<bool> SegmentRecovery::step(std::uint64_t bytes) {
  if (!cursor_) {
    if (Status status = open(); !status) {
      return status.error();
    }
  }
  const std::uint64_t stop = cursor_->position() + bytes;
  while (cursor_->position() < stop) {
    auto step = cursor_->next(kScanWindowBytes);
    if (!step) {
      return step.error();
    }
    if (step->kind == RecordCursor::Kind::end) {
      if (Status status = conclude(); !status) {
        return status.error();
      }
      return true;
    }
    if (step->kind == RecordCursor::Kind::damaged) {
      append(gaps_, {step->begin, step->end});
      pending_ = false;
    } else {
      keep(step->header);
    }
  }
  return false;
}

void SegmentRecovery::keep(const RecordHeader& header) {
  durable_offset_ = std::max(durable_offset_, header.durable_offset);
  if (header.type != RecordType::batch) {
    if (!pending_) {
      pending_ = true;
      pending_begin_ = header.offset;
    }
    return;
  }
  append(kept_, {pending_ ? pending_begin_ : header.offset, header.end()});
  pending_ = false;
  if (summary_.records == 0) {
    summary_.first_received_at = header.segment_first_received_at;
  }
  ++summary_.records;
  summary_.events += header.event_count;
  summary_.malformed += header.piece_count - header.event_count;
  summary_.run_bytes += header.run_bytes;
  summary_.last_received_at = header.received_at;
  summary_.end = header.end();
  std::array<std::byte, kRecordHeaderBytes> encoded;
  encode_record_header(header, seed_, encoded);
  digest_.update(encoded);
}

Status SegmentRecovery::conclude() {
  for (const KeptRange& gap : gaps_) {
    const std::uint64_t split = std::clamp(durable_offset_, gap.begin, gap.end);
    if (split > gap.begin) {
      damage_.push_back({gap.begin, split});
    }
    if (split < gap.end) {
      auto zero = all_zero({split, gap.end});
      if (!zero) {
        return zero.error();
      }
      if (!*zero && !torn_) {
        torn_ = KeptRange{split, gap.end};
      } else if (!*zero) {
        torn_->end = gap.end;
      }
    }
  }
  return {};
}

Result<bool> SegmentRecovery::all_zero(KeptRange range) const {
  std::vector<std::byte> bytes(kScanWindowBytes);
  while (range.begin < range.end) {
    const auto part = std::span(bytes).first(
        static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), range.end - range.begin)));
    auto got = read_tolerantly(*file_, part, range.begin);
    if (!got) {
      return got.error();
    }
    const auto read = part.first(*got);
    if (std::any_of(read.begin(), read.end(), [](std::byte b) { return b != std::byte{0}; })) {
      return false;
    }
    if (*got == 0) {
      break;
    }
    range.begin += *got;
  }
  return true;
}

SegmentSeal SegmentRecovery::seal() const {
  SegmentSeal seal;
  seal.side_file = true;
  seal.summary = summary_;
  seal.summary.digest = digest_.digest();
  seal.kept = kept_;
  return seal;
}

}  // namespace sluice
