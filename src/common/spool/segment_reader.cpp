#include "common/spool/segment_reader.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "common/base/check.h"
#include "common/base/crc32c.h"
#include "common/spool/little_endian.h"

namespace sluice {
namespace {

constexpr std::size_t kPageBytes = 4096;

// Index in `bytes` of the first record header that verifies, from `from` on; bytes.size() if none
// does. bytes[0] lies at `base` in the file.
std::size_t find_header(std::span<const std::byte> bytes, std::size_t from, std::uint64_t base,
                        const CrcSeed& seed) {
  constexpr int kFirst = kRecordMagic & 0xFFU;
  while (from + kRecordHeaderBytes <= bytes.size()) {
    const std::size_t candidates = bytes.size() - kRecordHeaderBytes + 1 - from;
    const void* found = std::memchr(bytes.data() + from, kFirst, candidates);
    if (found == nullptr) {
      break;
    }
    from = static_cast<std::size_t>(static_cast<const std::byte*>(found) - bytes.data());
    if (decode_record_header(bytes.subspan(from), seed, base + from)) {
      return from;
    }
    ++from;
  }
  return bytes.size();
}

void add_damage(RecordBlock& out, DamagedRange range) {
  out.damaged_bytes += range.end - range.begin;
  if (!out.damage.empty() && out.damage.back().end == range.begin) {
    DamagedRange& before = out.damage.back();
    before.end = range.end;
    before.pieces += range.pieces;
    before.first_index = before.first_index ? before.first_index : range.first_index;
    return;
  }
  out.damage.push_back(range);
}

// Tells damage that has no header of its own which pieces are missing, from its neighbours.
class GapCounter {
 public:
  explicit GapCounter(std::uint64_t begin) {
    if (begin == kRecordsBegin) {
      next_index_ = 0;
    }
  }
  void saw(const RecordHeader& header, std::vector<DamagedRange>& damage) {
    if (open_ && next_index_ && header.first_index >= *next_index_) {
      damage.back().first_index = next_index_;
      damage.back().pieces = header.first_index - *next_index_;
    }
    open_ = false;
    next_index_ = header.first_index + header.piece_count;
  }
  void saw_gap() { open_ = true; }

 private:
  std::optional<std::uint32_t> next_index_;
  bool open_ = false;
};

}  // namespace

Result<std::size_t> read_tolerantly(const File& file, std::span<std::byte> into,
                                    std::uint64_t offset) {
  auto got = file.pread(into, offset);
  if (!got && got.error().code == EIO) {
    got = file.pread(into, offset);
  }
  if (got || got.error().code != EIO) {
    return got;
  }
  std::size_t total = 0;
  while (total < into.size()) {
    const std::size_t to_page_end = kPageBytes - (offset + total) % kPageBytes;
    const auto page = into.subspan(total, std::min(to_page_end, into.size() - total));
    auto part = file.pread(page, offset + total);
    if (!part && part.error().code != EIO) {
      return part;
    }
    if (!part) {
      std::fill(page.begin(), page.end(), std::byte{0});
    }
    total += part ? *part : page.size();
    if (part && *part < page.size()) {
      break;
    }
  }
  return total;
}

Result<SegmentHeader> read_segment_header(const File& file) {
  std::array<std::byte, kRecordsBegin> bytes;
  auto got = read_tolerantly(file, bytes, 0);
  if (!got) {
    return got.error();
  }
  const auto there = std::span<const std::byte>(bytes).first(*got);
  auto first = decode_segment_header(there.first(std::min<std::size_t>(*got, kHeaderCopyBytes)));
  if (first || first.error().code == EPROTO || *got <= kHeaderCopyBytes) {
    return first;
  }
  return decode_segment_header(there.subspan(kHeaderCopyBytes));
}

Result<std::optional<SegmentSeal>> read_seal_record(const File& file, const SegmentHeader& header) {
  auto info = file.info();
  if (!info) {
    return info.error();
  }
  if (info->bytes < kRecordsBegin + kSealRecordBytes) {
    return std::optional<SegmentSeal>();
  }
  const std::uint64_t offset = info->bytes - kSealRecordBytes;
  std::array<std::byte, kSealRecordBytes> bytes;
  auto got = read_tolerantly(file, bytes, offset);
  if (!got) {
    return got.error();
  }
  const auto summary = decode_seal_record(std::span(bytes).first(*got), CrcSeed(header), offset);
  if (!summary) {
    return std::optional<SegmentSeal>();
  }
  SegmentSeal seal;
  seal.summary = *summary;
  if (summary->records > 0) {
    seal.kept = {{kRecordsBegin, summary->end}};
  }
  return std::optional(std::move(seal));
}

Status read_records(const File& file, const SegmentHeader& header, KeptRange range, Buffer& buffer,
                    RecordBlock& out) {
  CHECK_THAT(range.begin <= range.end && buffer.size() >= range.end - range.begin);
  out.records.clear();
  out.damage.clear();
  out.pieces.clear();
  out.damaged_bytes = 0;
  const auto into = buffer.writable().first(range.end - range.begin);
  auto got = read_tolerantly(file, into, range.begin);
  if (!got) {
    return got.error();
  }
  const CrcSeed seed(header);
  const std::span<const std::byte> bytes = into.first(*got);
  std::vector<std::size_t> first_piece;  // of each record: `pieces` may still move
  GapCounter gaps(range.begin);
  for (std::size_t at = 0; at < bytes.size();) {
    const std::uint64_t offset = range.begin + at;
    const auto record = decode_record_header(bytes.subspan(at), seed, offset);
    if (!record) {
      const std::size_t next = find_header(bytes, at + 1, range.begin, seed);
      add_damage(out, {offset, range.begin + next, std::nullopt, 0});
      gaps.saw_gap();
      at = next;
      continue;
    }
    const std::size_t whole = kRecordHeaderBytes + record->payload_bytes;
    const auto payload = bytes.subspan(
        at + kRecordHeaderBytes,
        std::min<std::size_t>(record->payload_bytes, bytes.size() - at - kRecordHeaderBytes));
    const bool is_batch = record->type == RecordType::batch;
    const std::size_t pieces_before = out.pieces.size();
    if (is_batch) {
      gaps.saw(*record, out.damage);
    }
    if (payload.size() < record->payload_bytes ||
        crc32c(payload, seed.at(offset)) != record->payload_crc ||
        (is_batch && !decode_pieces(*record, payload, out.pieces))) {
      out.pieces.resize(pieces_before);
      add_damage(out, {offset, std::min(offset + whole, range.begin + bytes.size()),
                       record->first_index, record->piece_count});
    } else if (is_batch) {
      first_piece.push_back(pieces_before);
      const auto run =
          payload.subspan(std::size_t{record->piece_count} * kPieceBytes, record->run_bytes);
      out.records.push_back({*record, {}, run, as_text(payload.last(record->client_name_bytes))});
    }
    at += std::min(whole, bytes.size() - at);
  }
  if (*got < into.size()) {
    add_damage(out, {range.begin + *got, range.end, std::nullopt, 0});
  }
  for (std::size_t i = 0; i < out.records.size(); ++i) {
    RecordView& view = out.records[i];
    view.pieces = std::span(out.pieces).subspan(first_piece[i], view.header.piece_count);
  }
  return {};
}

RecordCursor::RecordCursor(const File& file, const CrcSeed& seed, KeptRange range, Options options)
    : file_(file), seed_(seed), end_(range.end), options_(options), position_(range.begin) {
  CHECK_THAT(options_.window_bytes >= 2 * kRecordHeaderBytes && range.begin <= range.end);
}

// At least `bytes` from `offset` on, or what there is up to the end of the range.
Result<std::span<const std::byte>> RecordCursor::window_at(std::uint64_t offset,
                                                           std::size_t bytes) {
  bytes = static_cast<std::size_t>(std::min<std::uint64_t>(bytes, end_ - offset));
  if (offset < window_begin_ || offset + bytes > window_begin_ + window_bytes_) {
    window_.resize(static_cast<std::size_t>(
        std::min<std::uint64_t>(std::max(options_.window_bytes, bytes), end_ - offset)));
    const auto into = std::span(window_);
    auto got = read_tolerantly(file_, into, offset);
    if (!got) {
      return got.error();
    }
    window_begin_ = offset;
    window_bytes_ = *got;
  }
  const std::size_t skip = static_cast<std::size_t>(offset - window_begin_);
  return std::span<const std::byte>(window_)
      .first(window_bytes_)
      .subspan(std::min(skip, window_bytes_));
}

// The offset of the next record header in [from, until), else `until`.
Result<std::uint64_t> RecordCursor::find_record(std::uint64_t from, std::uint64_t until) {
  while (from < until && end_ - from >= kRecordHeaderBytes) {
    auto window = window_at(from, kRecordHeaderBytes);
    if (!window) {
      return window.error();
    }
    if (window->size() < kRecordHeaderBytes) {
      break;  // the file is shorter than the range
    }
    const std::size_t found = find_header(*window, 0, from, seed_);
    if (found < window->size()) {
      return std::min(from + found, until);
    }
    from += window->size() - kRecordHeaderBytes + 1;
  }
  return until;
}

Result<bool> RecordCursor::payload_verifies(const RecordHeader& header) {
  std::uint32_t crc = seed_.at(header.offset);
  std::uint64_t at = header.offset + kRecordHeaderBytes;
  while (at < header.end()) {
    auto window = window_at(at, 1);
    if (!window) {
      return window.error();
    }
    if (window->empty()) {
      return false;
    }
    const auto part = window->first(
        static_cast<std::size_t>(std::min<std::uint64_t>(window->size(), header.end() - at)));
    crc = crc32c(part, crc);
    at += part.size();
  }
  return crc == header.payload_crc;
}

Result<RecordCursor::Step> RecordCursor::next(std::uint64_t damage_bytes_max) {
  Step step;
  step.begin = position_;
  step.end = position_;
  if (position_ >= end_) {
    return step;
  }
  auto window = window_at(position_, kRecordHeaderBytes);
  if (!window) {
    return window.error();
  }
  const auto header = decode_record_header(*window, seed_, position_);
  if (!header) {
    const std::uint64_t until =
        std::min(end_, position_ + std::max<std::uint64_t>(1, damage_bytes_max));
    auto next = find_record(position_ + 1, until);
    if (!next) {
      return next.error();
    }
    step.kind = Kind::damaged;
    step.end = *next;
  } else {
    step.header = *header;
    step.header_ok = true;
    step.kind = Kind::record;
    step.end = header->end();
    if (step.end > end_) {
      step.kind = Kind::damaged;
      step.end = end_;
    } else if (options_.verify_payload) {
      auto good = payload_verifies(*header);
      if (!good) {
        return good.error();
      }
      step.kind = *good ? Kind::record : Kind::damaged;
    }
  }
  position_ = step.end;
  return step;
}

BlockWalker::BlockWalker(const File& file, const SegmentHeader& header, std::vector<KeptRange> kept,
                         std::uint32_t block_bytes)
    : file_(file), seed_(header), kept_(std::move(kept)), block_bytes_(block_bytes) {}

Result<std::optional<BlockWalker::BlockRange>> BlockWalker::next() {
  if (range_ >= kept_.size()) {
    return std::optional<BlockRange>();
  }
  if (!cursor_) {
    cursor_.emplace(file_, seed_, kept_[range_], RecordCursor::Options{});
  }
  BlockRange block;
  block.begin = pending_ ? pending_->begin : kept_[range_].begin;
  block.end = block.begin;
  for (;;) {
    if (!pending_) {
      auto step = cursor_->next(block_bytes_);
      if (!step) {
        return step.error();
      }
      pending_ = *step;
    }
    if (pending_->kind == RecordCursor::Kind::end) {
      pending_.reset();
      cursor_.reset();
      ++range_;
      block.last = range_ == kept_.size();
      break;
    }
    if (block.end > block.begin && pending_->end - block.begin > block_bytes_) {
      break;
    }
    block.end = pending_->end;
    if (pending_->header_ok && pending_->header.type == RecordType::batch) {
      block.pieces += pending_->header.piece_count;
    }
    pending_.reset();
  }
  return std::optional(block);
}

}  // namespace sluice
