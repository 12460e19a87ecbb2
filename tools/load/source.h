// Source: renders what connections send, a piece at a time: XML events, log lines or rpc requests.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "record.h"

namespace sluice::load {

enum class AnswerKind : std::uint8_t {
  received,
  filtered,
  invalid_json,
  missing_fields,
  not_an_object,
  echo,
  sum,
};
inline constexpr std::array<std::string_view, 7> kAnswerNames = {
    "received", "filtered", "invalid JSON", "missing fields", "not an object", "echo", "sum"};

// What the server has to answer, byte for byte.
struct Answer {
  AnswerKind kind = AnswerKind::received;
  std::string_view fixed;  // lives as long as the program
  std::string own;         // where there is no fixed one
  [[nodiscard]] std::string_view bytes() const { return own.empty() ? fixed : own; }
};

// A piece in a send buffer.
struct RenderedEvent {
  std::size_t end = 0;  // offset in the buffer behind its last byte
  EventNote note;       // empty where nothing is recorded
  Answer answer;        // of logs and rpc
};

class Source {
 public:
  Source() = default;
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;
  virtual ~Source() = default;

  // Appends a piece to `buffer`.
  virtual void append(bool first_of_connection, std::string& buffer,
                      std::deque<RenderedEvent>& rendered) = 0;
};

}  // namespace sluice::load
