#include "stages/validate.h"

#include <algorithm>
#include <string>
#include <utility>

#include "common/log/log.h"
#include "common/ndjson/log_block_cost.h"
#include "common/platform/crash_marks.h"
#include "common/spool/segment_image.h"
#include "common/xml/block_cost.h"
#include "common/xml/xml_prolog.h"

namespace sluice {

namespace {

// A table of more pieces than this is not kept for the next block.
constexpr std::size_t kPiecesKept = 64 * kKiB;

// What a longer line needed is given back.
constexpr std::size_t kLineBytesKept = 64 * kKiB;

// What an earlier run decided of the piece, where it decided on rejecting it.
const Reject* known_reject(const SealedSegment& segment, std::uint32_t index) {
  if (!segment.known_rejects) {
    return nullptr;
  }
  const std::vector<Reject>& rejects = segment.known_rejects->rejects;
  const auto found =
      std::lower_bound(rejects.begin(), rejects.end(), index,
                       [](const Reject& one, std::uint32_t wanted) { return one.index < wanted; });
  return found != rejects.end() && found->index == index ? &*found : nullptr;
}

}  // namespace

Status Validator::process(Block block, Outbox<ValidatedBlock>& out) {
  if (block.segment->raw) {
    return pass_on(std::move(block), out);
  }
  const WorkingOn working_on(block.segment->id);
  ValidatedBlock made;
  made.segment = block.segment;
  made.index = block.index;
  made.last = block.last;
  tokens_ = block.segment->settings.format != OutputFormat::xml;
  parser_.begin_tape();
  if (Status status = read(block, made); !status) {
    return status;
  }
  for (const RecordView& record : records_.records) {
    take_record(record, made);
  }
  note_damage(made);
  made.damaged_bytes = records_.damaged_bytes;
  made.source.truncate(block.end - block.begin);
  made.rejected.reserve(rejected_.size());
  for (; !rejected_.empty(); rejected_.pop_front()) {
    made.rejected.push_back(std::move(rejected_.front()));
  }
  rejected_.shrink_to_fit();
  if (records_.pieces.capacity() > kPiecesKept) {
    records_ = {};
  }
  books_.events_validated.fetch_add(made.tape.size(), std::memory_order_relaxed);
  books_.events_rejected.fetch_add(made.rejected.size(), std::memory_order_relaxed);
  // Of the worst case, what is left of it.
  std::uint64_t root_bytes = 0;
  for (std::size_t event = 0; event < made.tape.size(); ++event) {
    root_bytes += made.tape.event(event).root.length;
  }
  const std::size_t held = made.tape.memory_bytes() + memory_of(made.rejected);
  const std::size_t output_max = root_bytes == 0 ? 0
                                 : made.segment->stream == Stream::logs
                                     ? log_output_bytes_max(root_bytes)
                                     : output_bytes_max(made.segment->settings, root_bytes);
  made.room = std::move(block.room);
  const std::size_t room = made.room.bytes();
  made.room.shrink_to(std::min(room, within_room(held, room, books_) + output_max));
  return out.push(std::move(made)) ? Status() : Status(cancelled());
}

Status Validator::pass_on(Block block, Outbox<ValidatedBlock>& out) {
  const SealedSegment& segment = *block.segment;
  ValidatedBlock made;
  made.index = block.index;
  made.last = block.last;
  const std::size_t bytes = block.end - block.begin;
  made.source =
      Buffer::allocate(bytes, block.room.split(within_room(bytes, block.room.bytes(), books_)));
  if (Status status = read_image(*segment.file, segment.header, segment.seal, block.begin,
                                 made.source.writable());
      !status) {
    return status;
  }
  made.room = std::move(block.room);
  made.segment = std::move(block.segment);
  return out.push(std::move(made)) ? Status() : Status(cancelled());
}

// Into made.source, with a byte behind it for the parser's terminator. The source carries its own
// part of the room, and gives it back when Convert is done with it.
Status Validator::read(Block& block, ValidatedBlock& made) {
  const std::size_t bytes = block.end - block.begin;
  made.source = Buffer::allocate(
      bytes + 1, block.room.split(within_room(bytes + 1, block.room.bytes(), books_)));
  return read_records(*block.segment->file, block.segment->header, {block.begin, block.end},
                      made.source, records_);
}

void Validator::take_record(const RecordView& record, ValidatedBlock& made) {
  std::uint32_t index = record.header.first_index;
  for (const Piece& piece : record.pieces) {
    const std::uint64_t sequence = sequence_of(made.segment->id.num, index);
    ++made.pieces;
    const Reject* known = known_reject(*made.segment, index);
    if (known != nullptr) {
      reject(record, piece, sequence, {known->reason, known->line, known->column});
    } else if (piece.kind == PieceKind::malformed) {
      reject(record, piece, sequence, {std::string(to_string(piece.reason)), 0, 0});
    } else if (made.segment->stream == Stream::logs) {
      take_line(record, piece, sequence, made);
    } else {
      take_event(record, piece, sequence, made);
    }
    ++index;
  }
}

// Rendered here, where it is read anyway: of a line there is nothing left to do but to join it.
void Validator::take_line(const RecordView& record, const Piece& piece, std::uint64_t sequence,
                          ValidatedBlock& made) {
  line_.clear();
  if (!lines_.append_jsonl(as_text(record.run.subspan(piece.begin, piece.length)),
                           {record.header.received_at, record.header.peer, record.client_name},
                           line_)) {
    return reject(record, piece, sequence, {"no line that this version takes", 0, 0});
  }
  made.tape.end_event(made.tape.store(line_));
  if (line_.capacity() > kLineBytesKept) {
    line_ = {};
  }
}

void Validator::take_event(const RecordView& record, const Piece& piece, std::uint64_t sequence,
                           ValidatedBlock& made) {
  const std::span<std::byte> all = made.source.writable();
  auto* const text = reinterpret_cast<char*>(all.data());
  const auto begin = static_cast<std::uint32_t>(record.run.data() - all.data()) + piece.begin;
  auto refused = parser_.parse({text, all.size()}, {begin, piece.length, tokens_}, made.tape);
  if (!refused) {
    return;
  }
  if (made.segment->known_rejects && !tokens_) {
    // An earlier run, of a laxer version, put it into the object: its bytes can go there again.
    const std::string_view document(text + begin, piece.length);
    const std::size_t root = find_root(document, read_declaration(document).end).begin;
    if (root < document.size()) {
      made.tape.end_event({begin + static_cast<std::uint32_t>(root),
                           piece.length - static_cast<std::uint32_t>(root), false});
      return;
    }
  }
  reject(record, piece, sequence, *std::move(refused));
}

void Validator::reject(const RecordView& record, const Piece& piece, std::uint64_t sequence,
                       XmlRejection why) {
  RejectedPiece& rejected = rejected_.emplace_back();
  rejected.sequence = sequence;
  rejected.bytes = as_text(record.run.subspan(piece.begin, piece.length));
  rejected.reason = std::move(why.reason);
  rejected.line = why.line;
  rejected.column = why.column;
  rejected.peer = record.header.peer;
  rejected.received_at = record.header.received_at;
  rejected.continues = piece.continues;
  log::limited(log::Level::warning, "rejected",
               {{"peer", to_string(rejected.peer)},
                {"reason", rejected.reason},
                {"line", rejected.line},
                {"column", rejected.column},
                {"bytes", piece.length},
                {"sequence", sequence}});
}

void Validator::note_damage(const ValidatedBlock& made) {
  if (records_.damage.empty()) {
    return;
  }
  std::uint64_t pieces = 0;
  for (const DamagedRange& range : records_.damage) {
    pieces += range.pieces;
  }
  books_.bytes_damaged.fetch_add(records_.damaged_bytes, std::memory_order_relaxed);
  log::limited(log::Level::error, "segment damaged",
               {{"segment", to_string(made.segment->id)},
                {"offset", records_.damage.front().begin},
                {"bytes", records_.damaged_bytes},
                {"pieces", pieces}});
}

}  // namespace sluice
