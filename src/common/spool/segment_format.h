// The spool's segment files as structures, and their bytes; docs/spool_format.md has the grammar.
// Pure: no file is touched here.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/base/piece.h"
#include "common/base/result.h"
#include "common/base/units.h"
#include "common/net/peer_address.h"

namespace sluice {

using SpoolUuid = std::array<std::uint8_t, 16>;
using SpoolSecret = std::array<std::uint8_t, 16>;
using Digest = std::array<std::uint8_t, 32>;  // SHA-256

struct SegmentHeader {
  SpoolUuid uuid{};
  SpoolSecret secret{};  // seeds every CRC, with the uid and the file offset
  SegmentId id;
  Stream stream = Stream::xml;
  WallTime created_at{};
  std::string settings;  // JSON of SegmentSettings
};

// What a segment holds.
struct SegmentSummary {
  std::uint64_t records = 0;  // DATA records
  std::uint64_t events = 0;
  std::uint64_t malformed = 0;   // pieces that are malformed runs
  std::uint64_t run_bytes = 0;   // bytes as received, in all records
  std::uint64_t end = 0;         // file offset behind the last record that counts
  WallTime first_received_at{};  // of the first record: names the objects
  WallTime last_received_at{};
  Digest digest{};  // over the headers of the DATA records, in order

  [[nodiscard]] std::uint64_t pieces() const { return events + malformed; }
};

// File offsets [begin, end) that hold whole records that verify.
struct KeptRange {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

struct SegmentSeal {
  SegmentSummary summary;
  std::vector<KeptRange> kept;  // ascending; one range where nothing is damaged
  bool side_file = false;       // sealed by a .seal beside it, not by a SEAL record in it
};

// The pieces of a segment that were rejected, once that is decided (.rejects).
struct Reject {
  std::uint32_t index = 0;  // of the piece in its segment
  std::string reason;
  std::uint32_t line = 0;
  std::uint32_t column = 0;
};
struct RejectList {
  std::vector<Reject> rejects;  // ascending by index
  // Lower-case hex SHA-256 of the list as written; what the objects' metadata carry. "0" if empty.
  [[nodiscard]] std::string hash() const;
};

std::string to_hex(const Digest& digest);

// ---- the bytes ----------------------------------------------------------------------------------

inline constexpr std::uint32_t kSegmentVersion = 1;
inline constexpr std::uint64_t kHeaderCopyBytes = 4096;  // the header, and again behind it
inline constexpr std::uint64_t kRecordsBegin = 2 * kHeaderCopyBytes;
inline constexpr std::size_t kRecordHeaderBytes = 96;
inline constexpr std::size_t kPieceBytes = 12;
inline constexpr std::size_t kSealPayloadBytes = 88;
inline constexpr std::size_t kSealRecordBytes = kRecordHeaderBytes + kSealPayloadBytes;
inline constexpr std::uint32_t kRecordMagic = 0x31524C53;  // "SLR1"

// What seeds the CRCs of one segment: bytes that a client sends never pass for a record, and
// neither does a record of another segment or from another offset.
class CrcSeed {
 public:
  CrcSeed(const SpoolSecret& secret, std::uint64_t uid);
  explicit CrcSeed(const SegmentHeader& header) : CrcSeed(header.secret, header.id.uid) {}
  // For a record that begins at `offset` of the file.
  [[nodiscard]] std::uint32_t at(std::uint64_t offset) const;

 private:
  std::uint32_t base_;
};

// batch is what docs/spool_format.md calls DATA.
enum class RecordType : std::uint8_t { batch = 1, commit = 2, seal = 3 };

struct RecordHeader {
  RecordType type = RecordType::batch;
  std::uint32_t payload_bytes = 0;  // table, run and client's name; or the seal's payload
  std::uint32_t payload_crc = 0;
  std::uint32_t piece_count = 0;
  std::uint32_t event_count = 0;  // pieces of kind event
  std::uint32_t first_index = 0;  // of its first piece in the segment
  std::uint32_t run_bytes = 0;
  std::uint64_t offset = 0;              // where in the file it begins
  WallTime received_at{};                // of the first byte of the run
  WallTime segment_first_received_at{};  // the same in every record of a segment
  std::uint64_t connection_id = 0;
  PeerAddress peer;
  std::uint8_t client_name_bytes = 0;  // behind the run
  std::uint64_t durable_offset = 0;    // commit: all before it was synced when this was written

  [[nodiscard]] std::uint64_t end() const { return offset + kRecordHeaderBytes + payload_bytes; }
};

// The 8192 bytes that open a segment file. Rejected where the settings are too long for a copy.
Result<std::vector<std::byte>> encode_segment_header(const SegmentHeader& header);

// From the bytes of one copy. Rejected where they do not verify; Error::code is EPROTO where they
// do but are of a newer version.
Result<SegmentHeader> decode_segment_header(std::span<const std::byte> copy);

// Writes the header with its own CRC; payload_crc must be set.
void encode_record_header(const RecordHeader& header, const CrcSeed& seed,
                          std::span<std::byte, kRecordHeaderBytes> into);

// Nothing unless the bytes are a record header that verifies at this offset of this segment.
std::optional<RecordHeader> decode_record_header(std::span<const std::byte> bytes,
                                                 const CrcSeed& seed, std::uint64_t offset);

void encode_piece(const Piece& piece, std::span<std::byte, kPieceBytes> into);
// Appends the table of a batch to `into`. False where it is not one that a writer makes.
bool decode_pieces(const RecordHeader& header, std::span<const std::byte> table,
                   std::vector<Piece>& into);

// A whole SEAL record for the offset summary.end.
std::array<std::byte, kSealRecordBytes> encode_seal_record(const SegmentSummary& summary,
                                                           const CrcSeed& seed);
// From the last kSealRecordBytes of a file, which begin at `offset`.
std::optional<SegmentSummary> decode_seal_record(std::span<const std::byte> bytes,
                                                 const CrcSeed& seed, std::uint64_t offset);

}  // namespace sluice
