#include "common/spool/segment_format.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "common/base/buffer.h"
#include "common/base/check.h"
#include "common/base/crc32c.h"
#include "common/spool/little_endian.h"

namespace sluice {
namespace {

constexpr std::string_view kSegmentMagic = "SLUICEWL";
constexpr std::size_t kFixedHeaderBytes = 80;  // before the settings
constexpr std::size_t kSettingsBytesMax = kHeaderCopyBytes - kFixedHeaderBytes - 4;
constexpr std::uint16_t kPieceContinues = 1;

std::int64_t nanoseconds(WallTime time) { return time.time_since_epoch().count(); }
WallTime wall_time(std::int64_t ns) { return WallTime(std::chrono::nanoseconds(ns)); }

// The fixed part; offsets as in docs/spool_format.md.
SegmentHeader fixed_part(const std::byte* at) {
  SegmentHeader header;
  std::memcpy(header.uuid.data(), at + 16, header.uuid.size());
  std::memcpy(header.secret.data(), at + 32, header.secret.size());
  header.id.num = load_le<std::uint64_t>(at + 48);
  header.id.uid = load_le<std::uint64_t>(at + 56);
  header.created_at = wall_time(load_le<std::int64_t>(at + 64));
  header.stream = static_cast<Stream>(at[72]);
  return header;
}

}  // namespace

std::string to_hex(const Digest& digest) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : digest) {
    text += kDigits[byte >> 4U];
    text += kDigits[byte & 15U];
  }
  return text;
}

CrcSeed::CrcSeed(const SpoolSecret& secret, std::uint64_t uid) {
  std::array<std::byte, 8> id;
  store_le(id.data(), uid);
  base_ = crc32c(id, crc32c(std::as_bytes(std::span(secret))));
}

std::uint32_t CrcSeed::at(std::uint64_t offset) const {
  std::array<std::byte, 8> bytes;
  store_le(bytes.data(), offset);
  return crc32c(bytes, base_);
}

Result<std::vector<std::byte>> encode_segment_header(const SegmentHeader& header) {
  if (header.settings.size() > kSettingsBytesMax) {
    return rejected("settings of a segment take " + std::to_string(header.settings.size()) +
                    " bytes, at most " + std::to_string(kSettingsBytesMax) +
                    ": shorten PREFIX, QUARANTINE_PREFIX or the destination");
  }
  std::vector<std::byte> bytes(kRecordsBegin);
  std::byte* at = bytes.data();
  std::memcpy(at, kSegmentMagic.data(), kSegmentMagic.size());
  store_le(at + 8, kSegmentVersion);
  const std::size_t length = kFixedHeaderBytes + header.settings.size();
  store_le(at + 12, static_cast<std::uint32_t>(length));
  std::memcpy(at + 16, header.uuid.data(), header.uuid.size());
  std::memcpy(at + 32, header.secret.data(), header.secret.size());
  store_le(at + 48, header.id.num);
  store_le(at + 56, header.id.uid);
  store_le(at + 64, nanoseconds(header.created_at));
  at[72] = static_cast<std::byte>(header.stream);
  store_le(at + 76, static_cast<std::uint32_t>(header.settings.size()));
  std::memcpy(at + kFixedHeaderBytes, header.settings.data(), header.settings.size());
  store_le(at + length, crc32c(std::span(bytes).first(length)));
  std::copy_n(at, kHeaderCopyBytes, at + kHeaderCopyBytes);
  return bytes;
}

Result<SegmentHeader> decode_segment_header(std::span<const std::byte> copy) {
  const Error damaged = rejected("segment header does not verify");
  if (copy.size() < kFixedHeaderBytes + 4 ||
      as_text(copy.first(kSegmentMagic.size())) != kSegmentMagic) {
    return damaged;
  }
  const auto length = load_le<std::uint32_t>(copy.data() + 12);
  if (length < kFixedHeaderBytes || length > kHeaderCopyBytes - 4 || length + 4 > copy.size() ||
      load_le<std::uint32_t>(copy.data() + length) != crc32c(copy.first(length))) {
    return damaged;
  }
  const auto version = load_le<std::uint32_t>(copy.data() + 8);
  if (version != kSegmentVersion) {
    Error newer = rejected("segment format version " + std::to_string(version) +
                           " is newer than this program's");
    newer.code = EPROTO;
    return newer;
  }
  SegmentHeader header = fixed_part(copy.data());
  const auto settings_bytes = load_le<std::uint32_t>(copy.data() + 76);
  if (settings_bytes != length - kFixedHeaderBytes ||
      (header.stream != Stream::xml && header.stream != Stream::logs)) {
    return damaged;
  }
  header.settings = as_text(copy.subspan(kFixedHeaderBytes, settings_bytes));
  return header;
}

void encode_record_header(const RecordHeader& header, const CrcSeed& seed,
                          std::span<std::byte, kRecordHeaderBytes> into) {
  std::fill(into.begin(), into.end(), std::byte{0});
  std::byte* at = into.data();
  store_le(at, kRecordMagic);
  store_le(at + 8, header.payload_bytes);
  store_le(at + 12, header.payload_crc);
  at[16] = static_cast<std::byte>(header.type);
  at[17] = static_cast<std::byte>(header.client_name_bytes);
  store_le(at + 20, header.piece_count);
  store_le(at + 24, header.event_count);
  store_le(at + 28, header.first_index);
  store_le(at + 32, header.offset);
  store_le(at + 40, nanoseconds(header.received_at));
  store_le(at + 48, nanoseconds(header.segment_first_received_at));
  store_le(at + 56, header.connection_id);
  std::memcpy(at + 64, header.peer.ip.data(), header.peer.ip.size());
  store_le(at + 80, header.peer.port);
  store_le(at + 84, header.run_bytes);
  store_le(at + 88, header.durable_offset);
  store_le(at + 4, crc32c(into.subspan<8>(), seed.at(header.offset)));
}

std::optional<RecordHeader> decode_record_header(std::span<const std::byte> bytes,
                                                 const CrcSeed& seed, std::uint64_t offset) {
  if (bytes.size() < kRecordHeaderBytes) {
    return std::nullopt;
  }
  const std::byte* at = bytes.data();
  if (load_le<std::uint32_t>(at) != kRecordMagic ||
      load_le<std::uint32_t>(at + 4) !=
          crc32c(bytes.subspan(8, kRecordHeaderBytes - 8), seed.at(offset)) ||
      load_le<std::uint64_t>(at + 32) != offset) {
    return std::nullopt;
  }
  RecordHeader header;
  header.payload_bytes = load_le<std::uint32_t>(at + 8);
  header.payload_crc = load_le<std::uint32_t>(at + 12);
  header.type = static_cast<RecordType>(at[16]);
  header.client_name_bytes = static_cast<std::uint8_t>(at[17]);
  header.piece_count = load_le<std::uint32_t>(at + 20);
  header.event_count = load_le<std::uint32_t>(at + 24);
  header.first_index = load_le<std::uint32_t>(at + 28);
  header.offset = offset;
  header.received_at = wall_time(load_le<std::int64_t>(at + 40));
  header.segment_first_received_at = wall_time(load_le<std::int64_t>(at + 48));
  header.connection_id = load_le<std::uint64_t>(at + 56);
  std::memcpy(header.peer.ip.data(), at + 64, header.peer.ip.size());
  header.peer.port = load_le<std::uint16_t>(at + 80);
  header.run_bytes = load_le<std::uint32_t>(at + 84);
  header.durable_offset = load_le<std::uint64_t>(at + 88);
  const std::uint64_t table_bytes = std::uint64_t{header.piece_count} * kPieceBytes;
  if (header.type == RecordType::batch &&
      header.payload_bytes != table_bytes + header.run_bytes + header.client_name_bytes) {
    return std::nullopt;
  }
  return header;
}

void encode_piece(const Piece& piece, std::span<std::byte, kPieceBytes> into) {
  std::byte* at = into.data();
  store_le(at, piece.begin);
  store_le(at + 4, piece.length);
  at[8] = static_cast<std::byte>(piece.kind);
  at[9] = static_cast<std::byte>(piece.reason);
  store_le(at + 10, static_cast<std::uint16_t>(piece.continues ? kPieceContinues : 0));
}

bool decode_pieces(const RecordHeader& header, std::span<const std::byte> table,
                   std::vector<Piece>& into) {
  if (table.size() < std::size_t{header.piece_count} * kPieceBytes) {
    return false;
  }
  std::uint64_t free_from = 0;
  std::uint32_t events = 0;
  for (std::uint32_t i = 0; i < header.piece_count; ++i) {
    const std::byte* at = table.data() + std::size_t{i} * kPieceBytes;
    Piece piece;
    piece.begin = load_le<std::uint32_t>(at);
    piece.length = load_le<std::uint32_t>(at + 4);
    piece.kind = static_cast<PieceKind>(at[8]);
    piece.reason = static_cast<CutReason>(at[9]);
    piece.continues = (load_le<std::uint16_t>(at + 10) & kPieceContinues) != 0;
    const std::uint64_t end = std::uint64_t{piece.begin} + piece.length;
    if (piece.begin < free_from || end > header.run_bytes ||
        (piece.kind != PieceKind::event && piece.kind != PieceKind::malformed)) {
      return false;
    }
    free_from = end;
    events += piece.kind == PieceKind::event ? 1U : 0U;
    into.push_back(piece);
  }
  return events == header.event_count;
}

std::array<std::byte, kSealRecordBytes> encode_seal_record(const SegmentSummary& summary,
                                                           const CrcSeed& seed) {
  std::array<std::byte, kSealRecordBytes> bytes{};
  std::byte* at = bytes.data() + kRecordHeaderBytes;
  store_le(at, summary.records);
  store_le(at + 8, summary.events);
  store_le(at + 16, summary.malformed);
  store_le(at + 24, summary.run_bytes);
  store_le(at + 32, summary.end);
  store_le(at + 40, nanoseconds(summary.first_received_at));
  store_le(at + 48, nanoseconds(summary.last_received_at));
  std::memcpy(at + 56, summary.digest.data(), summary.digest.size());
  RecordHeader header;
  header.type = RecordType::seal;
  header.offset = summary.end;
  header.payload_bytes = kSealPayloadBytes;
  header.payload_crc = crc32c(std::span(bytes).subspan(kRecordHeaderBytes), seed.at(summary.end));
  header.segment_first_received_at = summary.first_received_at;
  header.durable_offset = summary.end;
  encode_record_header(header, seed, std::span(bytes).first<kRecordHeaderBytes>());
  return bytes;
}

std::optional<SegmentSummary> decode_seal_record(std::span<const std::byte> bytes,
                                                 const CrcSeed& seed, std::uint64_t offset) {
  const auto header = decode_record_header(bytes, seed, offset);
  if (!header || header->type != RecordType::seal || bytes.size() != kSealRecordBytes ||
      header->payload_bytes != kSealPayloadBytes ||
      header->payload_crc != crc32c(bytes.subspan(kRecordHeaderBytes), seed.at(offset))) {
    return std::nullopt;
  }
  const std::byte* at = bytes.data() + kRecordHeaderBytes;
  SegmentSummary summary;
  summary.records = load_le<std::uint64_t>(at);
  summary.events = load_le<std::uint64_t>(at + 8);
  summary.malformed = load_le<std::uint64_t>(at + 16);
  summary.run_bytes = load_le<std::uint64_t>(at + 24);
  summary.end = load_le<std::uint64_t>(at + 32);
  summary.first_received_at = wall_time(load_le<std::int64_t>(at + 40));
  summary.last_received_at = wall_time(load_le<std::int64_t>(at + 48));
  std::memcpy(summary.digest.data(), at + 56, summary.digest.size());
  // Records take room; a seal that is all there is and speaks of some is not one of ours.
  const bool has_room = summary.records == 0 || offset > kRecordsBegin;
  return summary.end == offset && has_room ? std::optional(summary) : std::nullopt;
}

}  // namespace sluice
