#include "common/ndjson/spooled_lines.h"

#include <cerrno>
#include <string>

#include "common/base/ids.h"
#include "common/spool/segment_catalog.h"
#include "common/spool/segment_state.h"

namespace sluice {
namespace {

Status take_segment(const SegmentState& state, std::uint64_t from, LineRenderer& renderer,
                    const LogFile::TakeLines& take) {
  std::string lines;
  return for_each_block(state, [&](const RecordBlock& block) -> Status {
    for (const RecordView& record : block.records) {
      const std::uint64_t sequence = sequence_of(state.header.id.num, record.header.first_index);
      lines.clear();
      append_lines(record, sequence, from, renderer, lines);
      if (sequence + record.pieces.size() <= from) {
        continue;
      }
      if (Status status = take(std::max(sequence, from), lines); !status) {
        return status;
      }
    }
    return {};
  });
}

}  // namespace

void append_lines(const RecordView& record, std::uint64_t first_sequence, std::uint64_t from,
                  LineRenderer& renderer, std::string& out) {
  std::uint64_t sequence = first_sequence;
  for (const Piece& piece : record.pieces) {
    if (sequence++ >= from) {
      (void)renderer.append_log_file_line(as_text(record.run.subspan(piece.begin, piece.length)),
                                          record.header.received_at, out);
    }
  }
}

Status for_each_spooled_line(const StreamDirectory& stream, std::uint64_t from,
                             const LogFile::TakeLines& take) {
  auto listing = list_segments(stream.filesystem(), stream.path());
  if (!listing) {
    return listing.status();
  }
  LineRenderer renderer;
  for (const auto& segment : listing->segments) {
    if (sequence_of(segment.id.num + 1, 0) <= from) {
      continue;
    }
    auto state = inspect_segment(stream.filesystem(), stream.path(), segment.id);
    if (!state && state.error().code == ENOENT) {
      continue;
    }
    if (!state) {
      return state.status();
    }
    if (state->kind != SegmentState::Kind::sealed && state->kind != SegmentState::Kind::unsealed) {
      continue;
    }
    if (Status status = take_segment(*state, from, renderer, take); !status) {
      return status;
    }
  }
  return {};
}

}  // namespace sluice
