// Any bytes as a segment file: headers, seals, walking, scanning and reading must not crash, read
// out of bounds or run for ever, and must agree with each other on what verifies.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "common/base/check.h"
#include "common/base/crc32c.h"
#include "common/spool/segment_format.h"
#include "common/spool/segment_reader.h"
#include "common/spool/segment_recovery.h"
#include "common/spool/segment_settings.h"
#include "common/spool/twin_file.h"

using namespace sluice;

namespace {

// A file in memory that cannot be changed.
class BytesFile final : public File {
 public:
  explicit BytesFile(std::span<const std::byte> bytes) : bytes_(bytes) {}
  Result<std::size_t> pwritev(std::span<const std::span<const std::byte>>, std::uint64_t) override {
    return fatal("read only");
  }
  Result<std::size_t> pread(std::span<std::byte> into, std::uint64_t offset) const override {
    if (offset >= bytes_.size()) {
      return std::size_t{0};
    }
    const std::size_t bytes = std::min<std::size_t>(into.size(), bytes_.size() - offset);
    std::memcpy(into.data(), bytes_.data() + offset, bytes);
    return bytes;
  }
  Status fdatasync() override { return {}; }
  Status allocate(std::uint64_t) override { return {}; }
  Status truncate(std::uint64_t) override { return {}; }
  Status drop_cache() override { return {}; }
  [[nodiscard]] Result<FileInfo> info() const override {
    FileInfo info;
    info.type = FileType::regular;
    info.bytes = bytes_.size();
    return info;
  }

 private:
  std::span<const std::byte> bytes_;
};

std::uint64_t pieces_by_blocks(const File& file, const SegmentHeader& header,
                               const SegmentSeal& seal) {
  constexpr std::uint32_t kBlockBytes = 256;
  std::uint64_t pieces = 0;
  BlockWalker walker(file, header, seal.kept, kBlockBytes);
  std::uint64_t end = 0;
  for (;;) {
    const auto range = walker.next();
    CHECK_THAT(range.ok());
    if (!range->has_value()) {
      return pieces;
    }
    CHECK_THAT((*range)->begin >= end && (*range)->end > (*range)->begin);
    end = (*range)->end;
    Buffer buffer = Buffer::allocate((*range)->end - (*range)->begin, Charge());
    RecordBlock block;
    CHECK_THAT(read_records(file, header, {(*range)->begin, (*range)->end}, buffer, block).ok());
    for (const RecordView& record : block.records) {
      for (const Piece& piece : record.pieces) {
        CHECK_THAT(std::uint64_t{piece.begin} + piece.length <= record.run.size());
        ++pieces;
      }
    }
  }
}

// With the CRCs of the header and of the records made right, so that what is behind them is reached
// too: the bytes are those of the input.
void repair(std::vector<std::byte>& bytes, const CrcSeed& seed) {
  for (std::size_t at = kRecordsBegin; at + kRecordHeaderBytes <= bytes.size();) {
    RecordHeader header;
    header.type = static_cast<RecordType>(std::to_integer<unsigned>(bytes[at + 16]) % 3 + 1);
    header.piece_count = std::to_integer<std::uint32_t>(bytes[at + 20]);
    header.event_count = std::to_integer<std::uint32_t>(bytes[at + 24]);
    header.run_bytes = std::to_integer<std::uint32_t>(bytes[at + 84]);
    header.payload_bytes = header.type == RecordType::batch
                               ? header.piece_count * std::uint32_t{kPieceBytes} + header.run_bytes
                               : std::to_integer<std::uint32_t>(bytes[at + 8]);
    header.first_index = std::to_integer<std::uint32_t>(bytes[at + 28]);
    header.durable_offset = std::to_integer<std::uint64_t>(bytes[at + 88]) * 64;
    header.offset = at;
    const std::size_t payload_at = at + kRecordHeaderBytes;
    if (payload_at + header.payload_bytes > bytes.size()) {
      break;
    }
    header.payload_crc =
        crc32c(std::span(bytes).subspan(payload_at, header.payload_bytes), seed.at(at));
    encode_record_header(header, seed, std::span(bytes).subspan(at).first<kRecordHeaderBytes>());
    at = header.end();
  }
}

void look_at(std::span<const std::byte> bytes, const SegmentHeader& header) {
  const BytesFile file(bytes);
  const auto sealed = read_seal_record(file, header);
  CHECK_THAT(sealed.ok());
  if (*sealed) {  // what it says is not looked into before the blocks are read
    (void)pieces_by_blocks(file, header, **sealed);
  }
  SegmentRecovery recovery(std::make_unique<BytesFile>(bytes), header);
  for (;;) {
    const auto done = recovery.step(1000);
    CHECK_THAT(done.ok());
    if (*done) {
      break;
    }
  }
  // A record may verify and its table still not be one that a writer makes: then it is not read.
  CHECK_THAT(pieces_by_blocks(file, header, recovery.seal()) <= recovery.seal().summary.pieces());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
  const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(input), size);
  const BytesFile file(bytes);
  auto header = read_segment_header(file);
  if (header) {
    (void)segment_settings_from_json(header->settings);
    look_at(bytes, *header);
  }
  const std::string_view text(reinterpret_cast<const char*>(input), size);
  (void)segment_settings_from_json(text);
  (void)decode_twin(TwinKind::seal, SegmentId{1, 2}, text);

  // The input as records behind a good header.
  std::vector<std::byte> segment(kRecordsBegin);
  segment.insert(segment.end(), bytes.begin(), bytes.end());
  SegmentHeader own;
  own.id = {1, 2};
  repair(segment, CrcSeed(own));
  look_at(segment, own);
  return 0;
}
