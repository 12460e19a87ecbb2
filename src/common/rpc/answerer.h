// Answerer: one request in, its answer out; the only place that knows libprotobuf. Its messages are
// used again for each request, so that a short one allocates nothing. One a thread: what it keeps
// between requests serves all connections.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "common/base/result.h"

namespace sluice {

// An answer is at most 13/8 as long as its request. The worst request is the shortest whose sum is
// negative, an add with one number in a varint of five bytes (8 bytes: libprotobuf takes it,
// although encoders write ten); a negative result is a varint of ten bytes (13 bytes). Echoes and
// other sums are never longer than their requests, and a length before both only adds to the
// lesser.
constexpr std::uint64_t answer_bytes_max(std::uint64_t request_bytes) {
  return (request_bytes * 13 + 7) / 8;
}

class Answerer {
 public:
  Answerer();
  Answerer(const Answerer&) = delete;
  Answerer& operator=(const Answerer&) = delete;
  ~Answerer();

  // Appends the serialized ServerMessage that answers one serialized ClientMessage. Sums wrap.
  // Unknown fields are no error and not echoed; of several requests in one message the last counts,
  // as libprotobuf has it. Errors: rejected, with nothing appended: what libprotobuf cannot read
  // (in an echo also text that is no UTF-8), and a message without a request. No error's text has
  // bytes of the request. While a request is answered it takes its length in memory once more, and
  // the answer; of one up to 64 KiB that memory is kept for the next.
  Status answer(std::span<const std::byte> request, std::string& answers);

 private:
  struct Messages;

  Status read_and_answer(std::span<const std::byte> request, std::string& answers);

  std::unique_ptr<Messages> messages_;
};

}  // namespace sluice
