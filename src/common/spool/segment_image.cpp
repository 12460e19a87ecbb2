#include "common/spool/segment_image.h"

#include <algorithm>

#include "common/base/check.h"
#include "common/spool/segment_reader.h"

namespace sluice {

std::uint64_t image_bytes(const SegmentSeal& seal) {
  return seal.summary.end + (seal.kept.empty() ? 0 : kSealRecordBytes);
}

Status read_image(const File& file, const SegmentHeader& header, const SegmentSeal& seal,
                  std::uint64_t offset, std::span<std::byte> into) {
  CHECK_THAT(offset + into.size() <= image_bytes(seal));
  const std::uint64_t end = seal.summary.end;
  const std::uint64_t of_file = std::min<std::uint64_t>(end - std::min(end, offset), into.size());
  if (of_file > 0) {
    auto got = read_tolerantly(file, into.first(of_file), offset);
    if (!got) {
      return got.error();
    }
    const auto missing = into.subspan(*got, of_file - *got);
    std::fill(missing.begin(), missing.end(), std::byte{0});
  }
  if (of_file < into.size()) {
    const auto record = encode_seal_record(seal.summary, CrcSeed(header));
    const auto rest = into.subspan(of_file);
    const auto from = std::span(record).subspan(offset + of_file - end, rest.size());
    std::copy(from.begin(), from.end(), rest.begin());
  }
  return {};
}

}  // namespace sluice
