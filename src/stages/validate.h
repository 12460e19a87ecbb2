// Validate: blocks in, what stands in them out: the accepted events as a tape over the bytes that
// were read, the rejected pieces with their exact bytes and the reason. Reads with pread; blocks of
// one segment may be on any number of Validators at a time, a thread each. Where it crashes, the
// next start knows the segment.
#pragma once

#include <deque>
#include <vector>

#include "common/ndjson/line_renderer.h"
#include "common/pipeline/outbox.h"
#include "common/spool/segment_reader.h"
#include "common/xml/xml_parser.h"
#include "stages/books.h"
#include "stages/messages.h"

namespace sluice {

class Validator {
 public:
  explicit Validator(Books& books) : books_(books) {}

  // Bytes that do not verify are counted and left out. Fatal: the segment cannot be read.
  Status process(Block block, Outbox<ValidatedBlock>& out);
  Status finish(Outbox<ValidatedBlock>& /*out*/) { return {}; }

 private:
  // Of a raw segment: passed on unread.
  Status pass_on(Block block, Outbox<ValidatedBlock>& out);
  Status read(Block& block, ValidatedBlock& made);
  void take_record(const RecordView& record, ValidatedBlock& made);
  void take_line(const RecordView& record, const Piece& piece, std::uint64_t sequence,
                 ValidatedBlock& made);
  void take_event(const RecordView& record, const Piece& piece, std::uint64_t sequence,
                  ValidatedBlock& made);
  void reject(const RecordView& record, const Piece& piece, std::uint64_t sequence,
              XmlRejection why);
  void note_damage(const ValidatedBlock& made);

  Books& books_;
  XmlParser parser_;
  RecordBlock records_;
  std::deque<RejectedPiece> rejected_;  // of the block: a vector would hold it twice as it grows
  bool tokens_ = false;
  LineRenderer lines_;
  std::string line_;  // as it goes into the object
};

}  // namespace sluice
