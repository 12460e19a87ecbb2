#include "commands/spool_age.h"

#include <algorithm>

#include "common/spool/segment_catalog.h"
#include "common/spool/segment_files.h"
#include "common/spool/segment_reader.h"

namespace sluice {
namespace {

constexpr auto kLookInterval = std::chrono::seconds(1);

// When the first event of the segment was received; nothing where it holds none (prepared ones).
std::optional<WallTime> first_received(Filesystem& filesystem, const Path& path) {
  auto file = filesystem.open(path, OpenMode::read);
  if (!file) {
    return std::nullopt;  // uploaded meanwhile
  }
  const auto header = read_segment_header(**file);
  const auto info = (*file)->info();
  if (!header || !info || info->bytes <= kRecordsBegin) {
    return std::nullopt;
  }
  RecordCursor cursor(**file, CrcSeed(*header), {kRecordsBegin, info->bytes},
                      {.window_bytes = 4 * kKiB});
  // The commit that opens a segment knows of no batch yet.
  auto step = cursor.next(4 * kKiB);
  while (step && step->kind == RecordCursor::Kind::record &&
         step->header.type == RecordType::commit) {
    step = cursor.next(4 * kKiB);
  }
  if (!step || step->kind != RecordCursor::Kind::record) {
    return std::nullopt;
  }
  return step->header.segment_first_received_at;
}

}  // namespace

void SpoolAge::look(MonotonicTime now) {
  if (stream_ == nullptr || now - looked_at_ < kLookInterval) {
    return;
  }
  looked_at_ = now;
  std::int64_t oldest_ns = 0;
  if (const auto listing = list_segments(filesystem_, stream_->path())) {
    for (const auto& segment : listing->segments) {
      if (const auto at = first_received(filesystem_, segment_path(stream_->path(), segment.id))) {
        oldest_ns = at->time_since_epoch().count();
        break;
      }
    }
  }
  oldest_ns_.store(oldest_ns);
}

double SpoolAge::seconds(WallTime now) const {
  const std::int64_t oldest_ns = oldest_ns_.load();
  if (oldest_ns == 0) {
    return 0;
  }
  return std::max(
      0.0,
      std::chrono::duration<double>(now - WallTime(std::chrono::nanoseconds(oldest_ns))).count());
}

}  // namespace sluice
