// What a connection of logs or rpc is owed: the answers to what it has sent, in order, each
// compared byte for byte, and how long each took. Pure: bytes and times in, totals and the record
// out.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "common/base/units.h"
#include "latency.h"
#include "options.h"
#include "source.h"

namespace sluice::load {

// Of all connections.
struct AnswerTotals {
  std::array<std::uint64_t, kAnswerNames.size()> as_expected{};  // by kind
  std::uint64_t others = 0;                                      // something else was answered
  std::uint64_t missing = 0;  // of what connections had sent when they ended
  std::string first_other;    // and what was expected, for the summary
  LatencyHistogram latency;   // of all answers, from the send of the last byte of what they answer
};

class Answers {
 public:
  // All outlive it. `connection` is its number in the record.
  struct Links {
    AnswerTotals& totals;
    Record& record;
    std::uint64_t connection;
  };

  Answers(Protocol protocol, Links links) : protocol_(protocol), links_(links) {}

  // Its last byte was handed to the socket by a send that began at `at`.
  void sent(RenderedEvent&& event, MonotonicTime at);
  // Bytes from the server, cut anywhere. What makes further answers unreadable, or "".
  [[nodiscard]] std::string take(std::string_view bytes, MonotonicTime now);

  [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }
  [[nodiscard]] std::uint64_t answered() const { return answered_; }

 private:
  struct Sent {
    Answer answer;
    EventNote note;
    MonotonicTime at;
  };
  std::string take_line(std::string_view& bytes, MonotonicTime now);
  std::string take_message(std::string_view& bytes, MonotonicTime now);
  void count(bool as_expected, MonotonicTime now);

  Protocol protocol_;
  Links links_;
  std::deque<Sent> waiting_;
  std::string begun_;  // of the answer that has come in part
  std::uint64_t answered_ = 0;
};

}  // namespace sluice::load
