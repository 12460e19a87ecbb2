#include "common/spool/twin_file.h"

#include <array>

#include "common/base/buffer.h"
#include "common/base/crc32c.h"
#include "common/spool/little_endian.h"

namespace sluice {
namespace {

constexpr std::string_view kTwinMagic = "SLUICTWN";
constexpr std::uint32_t kTwinVersion = 1;
constexpr std::size_t kTwinHeaderBytes = 40;
constexpr std::size_t kTwinAlignment = 4096;

std::string header_of(TwinKind kind, const SegmentId& id, std::uint32_t payload_bytes) {
  std::array<std::byte, kTwinHeaderBytes> header{};
  std::copy_n(as_bytes(kTwinMagic).begin(), kTwinMagic.size(), header.begin());
  store_le(header.data() + 8, kTwinVersion);
  store_le(header.data() + 12, payload_bytes);
  store_le(header.data() + 16, id.num);
  store_le(header.data() + 24, id.uid);
  header[32] = static_cast<std::byte>(kind);
  return std::string(as_text(header));
}

std::optional<std::string> decode_copy(TwinKind kind, const SegmentId& id, std::string_view copy) {
  if (copy.size() < kTwinHeaderBytes + 4) {
    return std::nullopt;
  }
  const auto bytes = as_bytes(copy);
  const auto payload_bytes = load_le<std::uint32_t>(bytes.data() + 12);
  if (payload_bytes > copy.size() - kTwinHeaderBytes - 4) {
    return std::nullopt;
  }
  const std::size_t length = kTwinHeaderBytes + payload_bytes;
  if (copy.substr(0, kTwinHeaderBytes) != header_of(kind, id, payload_bytes) ||
      load_le<std::uint32_t>(bytes.data() + length) != crc32c(bytes.first(length))) {
    return std::nullopt;
  }
  return std::string(copy.substr(kTwinHeaderBytes, payload_bytes));
}

}  // namespace

std::string encode_twin(TwinKind kind, const SegmentId& id, std::string_view payload) {
  std::string copy = header_of(kind, id, static_cast<std::uint32_t>(payload.size()));
  copy += payload;
  std::array<std::byte, 4> crc;
  store_le(crc.data(), crc32c(as_bytes(copy)));
  copy += as_text(crc);
  copy.resize((copy.size() + kTwinAlignment - 1) / kTwinAlignment * kTwinAlignment);
  return copy + copy;
}

std::optional<std::string> decode_twin(TwinKind kind, const SegmentId& id,
                                       std::string_view content) {
  const std::size_t half = content.size() / 2;
  auto payload = decode_copy(kind, id, content.substr(0, half));
  return payload ? payload : decode_copy(kind, id, content.substr(half));
}

}  // namespace sluice
