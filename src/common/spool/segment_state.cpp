#include "common/spool/segment_state.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include "common/spool/segment_files.h"
#include "common/spool/segment_reader.h"

namespace sluice {
namespace {

// No header verifies. Empty where a crash came before the header was durable: then no record can
// follow it.
Result<bool> never_had_a_header(const File& file, std::uint64_t bytes) {
  std::array<std::byte, 64 * kKiB> part;
  for (std::uint64_t at = 0; at < bytes;) {
    auto got = read_tolerantly(file, part, at);
    if (!got) {
      return got.error();
    }
    if (*got == 0) {
      break;
    }
    const auto read = std::span(part).first(*got);
    if (std::any_of(read.begin(), read.end(), [](std::byte b) { return b != std::byte{0}; })) {
      return false;
    }
    at += *got;
  }
  return true;
}

Result<SegmentState> without_header(SegmentState state, const Error& problem, std::uint64_t bytes) {
  if (problem.code == EPROTO) {
    state.kind = SegmentState::Kind::newer;
    state.reason = problem.message;
    return state;
  }
  if (problem.kind != ErrorKind::rejected) {
    return problem;
  }
  auto empty = never_had_a_header(*state.file, bytes);
  if (!empty) {
    return empty.error();
  }
  state.kind = *empty ? SegmentState::Kind::empty : SegmentState::Kind::unusable;
  state.reason = "neither copy of its header verifies";
  return state;
}

}  // namespace

Result<SegmentState> inspect_segment(Filesystem& filesystem, const Path& directory,
                                     const SegmentId& id) {
  SegmentState state;
  auto file = filesystem.open(segment_path(directory, id), OpenMode::read);
  if (!file) {
    return file.error();
  }
  state.file = std::move(*file);
  auto info = state.file->info();
  if (!info) {
    return info.error();
  }
  auto header = read_segment_header(*state.file);
  if (!header) {
    return without_header(std::move(state), header.error(), info->bytes);
  }
  state.header = *header;
  if (header->id != id) {
    state.reason = "its header is of segment " + to_string(header->id);
    return state;
  }
  auto settings = segment_settings_from_json(header->settings);
  if (!settings) {
    state.kind = SegmentState::Kind::newer;
    state.reason = settings.error().message;
    return state;
  }
  state.settings = *settings;
  auto side_seal = read_side_seal(filesystem, directory, id);
  if (!side_seal && side_seal.error().kind != ErrorKind::rejected) {
    return side_seal.error();
  }
  if (!side_seal) {
    // Its records past the cut may stand in another segment too: only a person can tell.
    state.reason = side_seal.error().message;
    return state;
  }
  if (!*side_seal) {
    if (info->bytes <= kRecordsBegin) {
      state.kind = SegmentState::Kind::empty;
      return state;
    }
    auto record = read_seal_record(*state.file, *header);
    if (!record) {
      return record.error();
    }
    side_seal = *std::move(record);
  }
  state.kind = *side_seal ? SegmentState::Kind::sealed : SegmentState::Kind::unsealed;
  if (*side_seal) {
    state.seal = **std::move(side_seal);
  }
  return state;
}

Result<std::vector<KeptRange>> record_ranges(const SegmentState& state) {
  if (state.kind == SegmentState::Kind::sealed) {
    return state.seal.kept;
  }
  auto info = state.file->info();
  if (!info) {
    return info.error();
  }
  return std::vector<KeptRange>{{kRecordsBegin, std::max(info->bytes, kRecordsBegin)}};
}

Status for_each_block(const SegmentState& state,
                      const std::function<Status(const RecordBlock&)>& visit) {
  constexpr std::uint32_t kReadBytes = 4 * kMiB;
  auto ranges = record_ranges(state);
  if (!ranges) {
    return ranges.status();
  }
  BlockWalker walker(*state.file, state.header, *ranges, kReadBytes);
  RecordBlock block;
  for (;;) {
    auto range = walker.next();
    if (!range) {
      return range.status();
    }
    if (!*range) {
      return {};
    }
    const KeptRange bytes{(*range)->begin, (*range)->end};
    Buffer buffer = Buffer::allocate(bytes.end - bytes.begin, Charge());
    Status status = read_records(*state.file, state.header, bytes, buffer, block);
    if (status) {
      status = visit(block);
    }
    if (!status) {
      return status;
    }
  }
}

}  // namespace sluice
