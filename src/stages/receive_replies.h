// ReplyBuffer: what one connection is still to be told, as bytes to write. Verdicts of the logs
// stream wait as the codes that they came as, a byte each, and become text a little at a time.
#pragma once

#include <cstddef>
#include <deque>
#include <span>
#include <string>

#include "stages/messages.h"

namespace sluice {

class ReplyBuffer {
 public:
  // The replies' own memory stays charged until they are written.
  void push(Reply reply);
  // Bytes to be written next; empty when nothing is left but the end.
  std::span<const std::byte> next();
  // So many of them were.
  void written(std::size_t bytes);
  // Bytes as they came, that are not text yet.
  [[nodiscard]] std::size_t backlog_bytes() const { return backlog_bytes_; }
  // Forgets all that was to be written.
  void drop();

 private:
  void fill();

  std::deque<Reply> waiting_;
  std::size_t taken_ = 0;  // bytes of the first that are in text_
  std::size_t backlog_bytes_ = 0;
  std::string text_;
  std::size_t written_ = 0;  // of text_
};

}  // namespace sluice
