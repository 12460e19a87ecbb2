// The tag and length that a ClientMessage begins with, read from bytes that may end anywhere. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace sluice {

// Field 1 (echo_message) and field 2 (add_request) of ClientMessage, both length-delimited.
inline constexpr std::uint32_t kEchoTag = 0x0a;
inline constexpr std::uint32_t kAddTag = 0x12;

struct RequestHeader {
  enum class State : std::uint8_t {
    whole,
    unfinished,       // the bytes end inside it
    no_request,       // `tag` is of no request
    tag_too_long,     // of more than five bytes
    length_too_long,  // 2 GiB or more
  };
  State state = State::unfinished;
  std::uint32_t tag = 0;
  std::uint32_t header_bytes = 0;  // of tag and length; only if whole
  std::uint32_t body_bytes = 0;    // behind them; only if whole
};

// Judges each byte as soon as it is there. Varints as libprotobuf's parser takes them: also longer
// than they need be, up to five bytes; of a tag's fifth byte only the low four bits count.
RequestHeader read_request_header(std::span<const std::byte> bytes);

}  // namespace sluice
