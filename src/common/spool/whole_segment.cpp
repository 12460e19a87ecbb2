#include "common/spool/whole_segment.h"

#include <cerrno>

#include "common/spool/segment_files.h"

namespace sluice {
namespace {

// As Frame and Spool have them.
constexpr std::size_t kRunBytesMax = kMiB;
constexpr std::size_t kGroupBytes = 4 * kMiB;

Path temporary_of(Path path) { return path += ".tmp"; }

}  // namespace

WholeSegment::WholeSegment(StreamDirectory& stream, const SegmentHeader& header)
    : stream_(stream),
      header_(header),
      path_(segment_path(stream.path(), header.id)),
      temporary_(temporary_of(path_)),
      writer_(header) {}

WholeSegment::~WholeSegment() {
  file_.reset();
  (void)stream_.filesystem().unlink(temporary_).ok();
}

Result<std::unique_ptr<WholeSegment>> WholeSegment::begin(StreamDirectory& stream,
                                                          const SegmentHeader& header) {
  auto encoded = encode_segment_header(header);
  if (!encoded) {
    return encoded.error();
  }
  std::unique_ptr<WholeSegment> segment(new WholeSegment(stream, header));
  Filesystem& filesystem = stream.filesystem();
  if (Status gone = filesystem.unlink(segment->temporary_); !gone && gone.error().code != ENOENT) {
    return gone.error();
  }
  auto file = filesystem.open(segment->temporary_, OpenMode::create_new);
  if (!file) {
    return file.error();
  }
  segment->file_ = std::move(*file);
  if (Status status = write_all(*segment->file_, *encoded, 0); !status) {
    return status.error();
  }
  return segment;
}

Status WholeSegment::add(const Entry& entry) {
  const bool joins = !group_.empty() && group_.back().received_at == entry.received_at &&
                     group_.back().peer == entry.peer &&
                     group_.back().run.size() + entry.bytes.size() <= kRunBytesMax;
  if (!joins) {
    if (group_bytes_ >= kGroupBytes) {
      if (Status status = write_group(); !status) {
        return status;
      }
    }
    group_.push_back({.run = {},
                      .pieces = {},
                      .events = 0,
                      .received_at = entry.received_at,
                      .peer = entry.peer});
    group_bytes_ += kRecordHeaderBytes;
  }
  Pending& record = group_.back();
  record.pieces.push_back({static_cast<std::uint32_t>(record.run.size()),
                           static_cast<std::uint32_t>(entry.bytes.size()), entry.kind, entry.reason,
                           entry.continues});
  record.run.insert(record.run.end(), entry.bytes.begin(), entry.bytes.end());
  record.events += entry.kind == PieceKind::event ? 1U : 0U;
  group_bytes_ += entry.bytes.size() + kPieceBytes;
  return {};
}

Status WholeSegment::write_group() {
  std::vector<std::vector<Buffer>> runs;
  writer_.begin_group();
  for (const Pending& pending : group_) {
    runs.emplace_back();
    runs.back().push_back(Buffer::copy_of(pending.run, Charge()));
    SegmentWriter::Record record;
    record.run = runs.back();
    record.run_bytes = static_cast<std::uint32_t>(pending.run.size());
    record.pieces = pending.pieces;
    record.events = pending.events;
    record.received_at = pending.received_at;
    record.peer = pending.peer;
    writer_.add(record);
  }
  Status status = write_all(*file_, writer_.parts(), writer_.group_offset());
  if (status) {
    status = file_->fdatasync();
  }
  if (status) {
    writer_.group_durable();
    group_.clear();
    group_bytes_ = 0;
  }
  return status;
}

Status WholeSegment::publish() {
  if (!group_.empty()) {
    if (Status status = write_group(); !status) {
      return status;
    }
  }
  const SegmentSummary summary = writer_.summary();
  const auto seal = encode_seal_record(summary, CrcSeed(header_));
  Status status = write_all(*file_, seal, summary.end);
  if (status) {
    status = file_->fdatasync();
  }
  if (!status) {
    return status;
  }
  Filesystem& filesystem = stream_.filesystem();
  // A link, and not a rename: it can be made again after a directory sync that failed.
  return stream_.entries().make([&]() -> Status {
    if (Status gone = filesystem.unlink(path_); !gone && gone.error().code != ENOENT) {
      return gone;
    }
    return filesystem.link(temporary_, path_);
  });
}

}  // namespace sluice
