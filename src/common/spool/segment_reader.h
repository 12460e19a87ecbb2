// Reading segments: the header from either copy, whether and how it is sealed, its blocks, and the
// records of a block. Only pread is used, so that any number of threads may read one file.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "common/base/buffer.h"
#include "common/base/piece.h"
#include "common/base/result.h"
#include "common/platform/filesystem.h"
#include "common/spool/segment_format.h"

namespace sluice {

// From the first copy that verifies. Rejected where none does (Error::code EPROTO: one is of a
// newer version), fatal where the file cannot be read.
Result<SegmentHeader> read_segment_header(const File& file);

// The SEAL record at the end of the file, O(1). Nothing where there is none.
Result<std::optional<SegmentSeal>> read_seal_record(const File& file, const SegmentHeader& header);

// One DATA record. The spans point into the buffer and the RecordBlock that read_records filled.
struct RecordView {
  RecordHeader header;
  std::span<const Piece> pieces;  // begin counts from the start of `run`
  std::span<const std::byte> run;
  std::string_view client_name;  // of the client's certificate; empty without one
};

// Bytes that did not verify, or could not be read.
struct DamagedRange {
  std::uint64_t begin = 0;  // file offsets
  std::uint64_t end = 0;
  std::optional<std::uint32_t> first_index;  // of the pieces lost, where a neighbour tells
  std::uint32_t pieces = 0;                  // lost, where the record's header or neighbours tell
};

struct RecordBlock {
  std::vector<RecordView> records;  // in file order; DATA only
  std::vector<DamagedRange> damage;
  std::vector<Piece> pieces;  // what the views point to
  std::uint64_t damaged_bytes = 0;
};

// Reads the range [begin, end) of whole records into `buffer` (at least that large; its first
// end - begin bytes are overwritten) and gives the records that verify. Bad bytes are in `damage`,
// never an error; a read that fails with EIO is repeated once, then page by page. `out` is emptied
// first and may be reused. Blocks. Fatal: the file cannot be read for another reason.
Status read_records(const File& file, const SegmentHeader& header, KeptRange range, Buffer& buffer,
                    RecordBlock& out);

// Walks the records of a range in file order, keeping a window of the file in memory.
class RecordCursor {
 public:
  struct Options {
    std::size_t window_bytes = 64 * kKiB;
    bool verify_payload = false;  // false: headers only, payloads are skipped unread
  };
  enum class Kind : std::uint8_t {
    record,   // verifies (its header, and its payload if asked)
    damaged,  // [begin, end) does not verify
    end,      // of the range
  };
  struct Step {
    Kind kind = Kind::end;
    RecordHeader header;  // record; also damaged where `header_ok`
    bool header_ok = false;
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
  };

  // `file` must outlive it.
  RecordCursor(const File& file, const CrcSeed& seed, KeptRange range, Options options);

  // Damage is given in pieces of at most `damage_bytes_max`.
  Result<Step> next(std::uint64_t damage_bytes_max);
  [[nodiscard]] std::uint64_t position() const { return position_; }

 private:
  Result<std::span<const std::byte>> window_at(std::uint64_t offset, std::size_t bytes);
  Result<std::uint64_t> find_record(std::uint64_t from, std::uint64_t until);
  Result<bool> payload_verifies(const RecordHeader& header);

  const File& file_;
  CrcSeed seed_;
  std::uint64_t end_;
  Options options_;
  std::uint64_t position_;
  std::vector<std::byte> window_;
  std::uint64_t window_begin_ = 0;
  std::size_t window_bytes_ = 0;
};

// The blocks of a sealed segment: greedy runs of whole records up to block_bytes (at least one
// record), within one kept range. The same for every run over the same bytes.
class BlockWalker {
 public:
  struct BlockRange {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    std::uint64_t pieces = 0;  // of records whose header verifies
    bool last = false;
  };

  // `file` must outlive it.
  BlockWalker(const File& file, const SegmentHeader& header, std::vector<KeptRange> kept,
              std::uint32_t block_bytes);

  // Nothing after the last block, or at once where nothing is kept. Reads headers only.
  Result<std::optional<BlockRange>> next();

 private:
  const File& file_;
  CrcSeed seed_;
  std::vector<KeptRange> kept_;
  std::uint32_t block_bytes_;
  std::size_t range_ = 0;
  std::optional<RecordCursor> cursor_;
  std::optional<RecordCursor::Step> pending_;  // read, and belongs to the next block
};

// As File::pread, but pages that the disk refuses (EIO, twice) come as zeros.
Result<std::size_t> read_tolerantly(const File& file, std::span<std::byte> into,
                                    std::uint64_t offset);

}  // namespace sluice
