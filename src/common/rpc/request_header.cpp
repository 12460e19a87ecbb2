#include "common/rpc/request_header.h"

namespace sluice {
namespace {

constexpr std::size_t kVarintBytesMax = 5;

struct Varint {
  std::uint32_t value = 0;
  std::size_t bytes = 0;  // 0: it goes on behind the bytes that are there, or for too long
  std::byte last = {};    // of its bytes
  bool too_long = false;
};

Varint read_varint(std::span<const std::byte> bytes) {
  Varint varint;
  for (std::size_t i = 0; i < bytes.size() && i < kVarintBytesMax; ++i) {
    const auto bits = std::to_integer<std::uint32_t>(bytes[i]);
    varint.value |= (bits & 0x7fU) << (7 * i);  // what does not fit falls off
    if (bits < 0x80U) {
      varint.bytes = i + 1;
      varint.last = bytes[i];
      return varint;
    }
  }
  varint.too_long = bytes.size() >= kVarintBytesMax;
  return varint;
}

}  // namespace

RequestHeader read_request_header(std::span<const std::byte> bytes) {
  using State = RequestHeader::State;
  RequestHeader header;
  const Varint tag = read_varint(bytes);
  if (tag.bytes == 0) {
    header.state = tag.too_long ? State::tag_too_long : State::unfinished;
    return header;
  }
  header.tag = tag.value;
  if (tag.value != kEchoTag && tag.value != kAddTag) {
    header.state = State::no_request;
    return header;
  }
  const Varint length = read_varint(bytes.subspan(tag.bytes));
  constexpr auto kTwoGibibytes = std::byte{8};  // in the fifth byte
  if (length.too_long || (length.bytes == kVarintBytesMax && length.last >= kTwoGibibytes)) {
    header.state = State::length_too_long;
    return header;
  }
  if (length.bytes != 0) {
    header.state = State::whole;
    header.header_bytes = static_cast<std::uint32_t>(tag.bytes + length.bytes);
    header.body_bytes = length.value;
  }
  return header;
}

}  // namespace sluice
