#include "commands/spool_export.h"

#include <cerrno>
#include <cstdio>
#include <ostream>

#include "commands/exit_code.h"
#include "common/base/buffer.h"
#include "common/spool/reason_line.h"
#include "common/spool/segment_reader.h"
#include "common/spool/segment_state.h"

namespace sluice {
namespace {

// A file that is written from its begin to its end.
class NewFile {
 public:
  static Result<NewFile> create(Filesystem& filesystem, const Path& path) {
    auto file = filesystem.open(path, OpenMode::create_new);
    return file ? Result<NewFile>(NewFile(std::move(*file))) : file.error();
  }
  Status append(std::span<const std::byte> bytes) {
    Status status = write_all(*file_, bytes, bytes_);
    bytes_ += bytes.size();
    return status;
  }
  Status sync() { return file_->fdatasync(); }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

 private:
  explicit NewFile(std::unique_ptr<File> file) : file_(std::move(file)) {}
  std::unique_ptr<File> file_;
  std::uint64_t bytes_ = 0;
};

struct Exported {
  std::uint64_t pieces = 0;
  std::uint64_t bytes = 0;
  std::uint64_t damaged_bytes = 0;
};

// Wherever in the spool it lies. Fatal with ENOENT: nowhere.
Result<SegmentState> find_segment(Filesystem& filesystem, const SpoolExport& what) {
  for (const std::string_view folder : {"xml", "logs", "quarantine"}) {
    auto state = inspect_segment(filesystem, what.spool_dir / folder, what.segment);
    if (state || state.error().code != ENOENT) {
      return state;
    }
  }
  return fatal("no segment " + to_string(what.segment) + " in " + what.spool_dir.string(), ENOENT);
}

Status write_block(const SegmentState& state, const RecordBlock& block, NewFile& raw,
                   NewFile& reasons, Exported& exported) {
  std::string lines;
  for (const RecordView& record : block.records) {
    std::uint32_t index = record.header.first_index;
    for (const Piece& piece : record.pieces) {
      const bool is_event = piece.kind == PieceKind::event;
      lines += to_json({.offset = raw.bytes(),
                        .length = piece.length,
                        .peer = record.header.peer,
                        .received_at = record.header.received_at,
                        .reason = is_event ? std::string() : std::string(to_string(piece.reason)),
                        .sequence = sequence_of(state.header.id.num, index++),
                        .continues = piece.continues,
                        .segment = state.header.id});
      if (Status status = raw.append(record.run.subspan(piece.begin, piece.length)); !status) {
        return status;
      }
      ++exported.pieces;
    }
  }
  exported.damaged_bytes += block.damaged_bytes;
  return reasons.append(as_bytes(lines));
}

Result<Exported> write_segment(const SegmentState& state, NewFile& raw, NewFile& reasons) {
  Exported exported;
  Status read = for_each_block(state, [&](const RecordBlock& block) {
    return write_block(state, block, raw, reasons, exported);
  });
  if (!read) {
    return read.error();
  }
  for (NewFile* file : {&raw, &reasons}) {
    if (Status status = file->sync(); !status) {
      return status.error();
    }
  }
  exported.bytes = raw.bytes();
  return exported;
}

int fail(const std::string& message) {
  std::fprintf(stderr, "sluice: %s\n", message.c_str());
  return kExitFailed;
}

}  // namespace

int spool_export(Filesystem& filesystem, const SpoolExport& what, std::ostream& out) {
  auto state = find_segment(filesystem, what);
  if (!state) {
    return fail(state.error().message);
  }
  if (state->kind != SegmentState::Kind::sealed && state->kind != SegmentState::Kind::unsealed) {
    return fail("segment " + to_string(what.segment) + " holds no record: " + state->reason);
  }
  const std::string stem = "seg-" + to_string(what.segment) + "_raw";
  const Path raw_path =
      what.folder / (stem + (state->header.stream == Stream::xml ? ".xml" : ".log"));
  const Path reasons_path = what.folder / (stem + ".reasons.jsonl");
  auto raw = NewFile::create(filesystem, raw_path);
  if (!raw) {
    return fail(raw.error().message);
  }
  auto reasons = NewFile::create(filesystem, reasons_path);
  auto exported =
      reasons ? write_segment(*state, *raw, *reasons) : Result<Exported>(reasons.error());
  const Status synced = exported ? filesystem.sync_directory(what.folder) : exported.status();
  if (!synced) {
    // Half a pair would only be in the way of the next try.
    (void)filesystem.unlink(raw_path).ok();
    if (reasons) {
      (void)filesystem.unlink(reasons_path).ok();
    }
    return fail(synced.error().message);
  }
  out << exported->pieces << " pieces, " << exported->bytes << " bytes: " << raw_path.string()
      << '\n';
  if (exported->damaged_bytes > 0 && state->kind == SegmentState::Kind::sealed) {
    return fail(std::to_string(exported->damaged_bytes) +
                " bytes do not verify and are left out: see sluice spool verify");
  }
  return kExitClean;
}

}  // namespace sluice
