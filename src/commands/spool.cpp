#include "commands/spool.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <functional>
#include <iomanip>
#include <ostream>

#include "commands/exit_code.h"
#include "common/base/buffer.h"
#include "common/log/log_format.h"
#include "common/platform/posix_filesystem.h"
#include "common/spool/digest_builder.h"
#include "common/spool/segment_catalog.h"
#include "common/spool/segment_reader.h"
#include "common/spool/segment_state.h"

namespace sluice {
namespace {

// What reading a segment from end to end found.
struct Findings {
  SegmentSummary summary;
  std::uint64_t damaged_bytes = 0;  // of what was durable
  std::uint64_t tail_bytes = 0;     // behind what is known durable, of an unsealed segment
  bool digest_differs = false;      // from what the seal says
};

struct Segment {
  Stream stream = Stream::xml;
  SegmentId id;
  SegmentState state;
};

void complain(const Error& error) { std::fprintf(stderr, "sluice: %s\n", error.message.c_str()); }

std::string_view state_name(const SegmentState& state) {
  switch (state.kind) {
    case SegmentState::Kind::sealed:
      return state.seal.side_file ? "side-sealed" : "sealed";
    case SegmentState::Kind::unsealed:
      return "open";
    case SegmentState::Kind::empty:
      return "prepared";
    case SegmentState::Kind::newer:
      return "newer";
    case SegmentState::Kind::unusable:
      break;
  }
  return "unusable";
}

// Calls `visit` for each segment of the spool, by stream and number. One that is unlinked
// meanwhile is left out.
Status for_each_segment(const Path& dir, const std::function<Status(Segment&)>& visit) {
  PosixFilesystem filesystem;
  if (auto info = filesystem.info(dir); !info) {
    return info.error();
  }
  for (const Stream stream : {Stream::xml, Stream::logs}) {
    const Path directory = dir / std::string(to_string(stream));
    auto listing = list_segments(filesystem, directory);
    if (!listing && listing.error().code == ENOENT) {
      continue;
    }
    if (!listing) {
      return listing.error();
    }
    for (const auto& entry : listing->segments) {
      auto state = inspect_segment(filesystem, directory, entry.id);
      if (!state && state.error().code == ENOENT) {
        continue;
      }
      if (!state) {
        return state.error();
      }
      Segment segment{stream, entry.id, std::move(*state)};
      if (Status status = visit(segment); !status) {
        return status;
      }
    }
  }
  return {};
}

// Adds one record to what a segment holds.
void add(const RecordHeader& header, const CrcSeed& seed, DigestBuilder& digest,
         SegmentSummary& summary) {
  ++summary.records;
  summary.events += header.event_count;
  summary.malformed += header.piece_count - header.event_count;
  summary.run_bytes += header.run_bytes;
  summary.first_received_at = header.segment_first_received_at;
  std::array<std::byte, kRecordHeaderBytes> encoded;
  encode_record_header(header, seed, encoded);
  digest.update(encoded);
}

Result<Findings> read_through(const SegmentState& state, bool verify_payload) {
  Findings findings;
  auto ranges = record_ranges(state);
  if (!ranges) {
    return ranges.error();
  }
  const CrcSeed seed(state.header);
  DigestBuilder digest;
  std::uint64_t durable = state.kind == SegmentState::Kind::sealed ? state.seal.summary.end : 0;
  std::vector<KeptRange> bad;
  for (const KeptRange& range : *ranges) {
    RecordCursor cursor(*state.file, seed, range, {kMiB, verify_payload});
    for (;;) {
      auto step = cursor.next(kMiB);
      if (!step) {
        return step.error();
      }
      if (step->kind == RecordCursor::Kind::end) {
        break;
      }
      if (step->kind == RecordCursor::Kind::damaged) {
        bad.push_back({step->begin, step->end});
        continue;
      }
      durable = std::max(durable, step->header.durable_offset);
      if (step->header.type == RecordType::batch) {
        add(step->header, seed, digest, findings.summary);
      }
    }
  }
  for (const KeptRange& range : bad) {
    const std::uint64_t split = std::clamp(durable, range.begin, range.end);
    findings.damaged_bytes += split - range.begin;
    findings.tail_bytes += range.end - split;
  }
  findings.summary.digest = digest.digest();
  findings.digest_differs = state.kind == SegmentState::Kind::sealed &&
                            findings.summary.digest != state.seal.summary.digest;
  return findings;
}

bool holds_records(const SegmentState& state) {
  return state.kind == SegmentState::Kind::sealed || state.kind == SegmentState::Kind::unsealed;
}

int exit_code_of(const Status& status) {
  if (!status) {
    complain(status.error());
    return kExitFailed;
  }
  return kExitClean;
}

Status write_pieces(const SegmentState& state, std::ostream& out, bool& damaged) {
  return for_each_block(state, [&](const RecordBlock& block) -> Status {
    for (const RecordView& record : block.records) {
      for (const Piece& piece : record.pieces) {
        out << as_text(record.run.subspan(piece.begin, piece.length)) << '\n';
      }
    }
    damaged = damaged || (!block.damage.empty() && state.kind == SegmentState::Kind::sealed);
    return {};
  });
}

// A segment wherever it lies: one of the spool's quarantine with what lies beside it, or a
// `_segment` object under a name of any kind.
Result<SegmentState> inspect_file(const Path& path) {
  PosixFilesystem filesystem;
  if (const auto id = segment_id_of(path.filename().string(), ".wal")) {
    return inspect_segment(filesystem, path.has_parent_path() ? path.parent_path() : ".", *id);
  }
  SegmentState state;
  auto file = filesystem.open(path, OpenMode::read);
  if (!file) {
    return file.error();
  }
  state.file = std::move(*file);
  auto header = read_segment_header(*state.file);
  if (!header) {
    return fatal(path.string() + " is no segment: " + header.error().message);
  }
  state.header = *header;
  auto seal = read_seal_record(*state.file, *header);
  if (!seal) {
    return seal.error();
  }
  state.kind = *seal ? SegmentState::Kind::sealed : SegmentState::Kind::unsealed;
  if (*seal) {
    state.seal = **std::move(seal);
  }
  return state;
}

int end_cat(const Status& status, bool damaged) {
  if (damaged) {
    complain(fatal("some records do not verify: see sluice spool verify"));
  }
  const int code = exit_code_of(status);
  return damaged ? kExitFailed : code;
}

int spool_cat_file(const Path& path, std::ostream& out) {
  auto state = inspect_file(path);
  if (!state) {
    return exit_code_of(state.status());
  }
  bool damaged = false;
  if (!holds_records(*state)) {
    return exit_code_of(fatal(path.string() + " holds no events: " + state->reason));
  }
  const Status status = write_pieces(*state, out, damaged);
  return end_cat(status, damaged);
}

}  // namespace

int spool_ls(const Path& dir, std::ostream& out) {
  out << std::left << std::setw(7) << "STREAM" << std::setw(35) << "SEGMENT" << std::setw(12)
      << "STATE" << std::right << std::setw(10) << "EVENTS" << std::setw(10) << "MALFORMED"
      << std::setw(13) << "BYTES"
      << "  FIRST RECEIVED\n";
  const Status status = for_each_segment(dir, [&](Segment& segment) -> Status {
    SegmentSummary summary = segment.state.seal.summary;
    if (segment.state.kind == SegmentState::Kind::unsealed) {
      auto findings = read_through(segment.state, false);
      if (!findings) {
        return findings.status();
      }
      summary = findings->summary;
    }
    out << std::left << std::setw(7) << to_string(segment.stream) << std::setw(35)
        << to_string(segment.id) << std::setw(12) << state_name(segment.state) << std::right
        << std::setw(10) << summary.events << std::setw(10) << summary.malformed << std::setw(13)
        << summary.run_bytes << "  "
        << (summary.records > 0 ? log::timestamp_text(summary.first_received_at) : "-") << '\n';
    return {};
  });
  return exit_code_of(status);
}

int spool_cat(const Path& dir, const std::string& segment, std::ostream& out) {
  if (!segment.empty() && !parse_segment_id(segment)) {
    return spool_cat_file(segment, out);
  }
  bool found = segment.empty();
  bool damaged = false;
  const Status status = for_each_segment(dir, [&](Segment& candidate) -> Status {
    if (!segment.empty() && to_string(candidate.id) != segment) {
      return {};
    }
    found = true;
    return holds_records(candidate.state) ? write_pieces(candidate.state, out, damaged) : Status();
  });
  if (status && !found) {
    complain(fatal("no segment " + segment + " in " + dir.string()));
  }
  const int code = end_cat(status, damaged);
  return found ? code : kExitFailed;
}

int spool_verify(const Path& dir, std::ostream& out) {
  bool good = true;
  const Status status = for_each_segment(dir, [&](Segment& segment) -> Status {
    out << to_string(segment.stream) << ' ' << to_string(segment.id) << ' '
        << state_name(segment.state);
    if (!holds_records(segment.state)) {
      const bool harmless = segment.state.kind == SegmentState::Kind::empty;
      good = good && harmless;
      out << (harmless ? " ok" : " DAMAGED: " + segment.state.reason) << '\n';
      return {};
    }
    auto findings = read_through(segment.state, true);
    if (!findings) {
      out << '\n';
      return findings.status();
    }
    out << " records=" << findings->summary.records << " events=" << findings->summary.events
        << " malformed=" << findings->summary.malformed << " bytes=" << findings->summary.run_bytes;
    if (findings->tail_bytes > 0) {
      out << " unfinished_bytes=" << findings->tail_bytes;
    }
    const bool damaged = findings->damaged_bytes > 0 || findings->digest_differs;
    good = good && !damaged;
    if (damaged) {
      out << " DAMAGED: " << findings->damaged_bytes << " bytes do not verify";
    } else {
      out << " ok";
    }
    out << '\n';
    return {};
  });
  const int code = exit_code_of(status);
  return good ? code : kExitFailed;
}

}  // namespace sluice
