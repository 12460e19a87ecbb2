#include "answers.h"

#include <algorithm>
#include <utility>

namespace sluice::load {
namespace {

constexpr std::size_t kLineBytesMax = 4 * kKiB;

}  // namespace

void Answers::sent(RenderedEvent&& event, MonotonicTime at) {
  waiting_.push_back({std::move(event.answer), std::move(event.note), at});
}

std::string Answers::take(std::string_view bytes, MonotonicTime now) {
  std::string error;
  while (!bytes.empty() && error.empty()) {
    if (waiting_.empty()) {
      return "an answer to nothing that was sent";
    }
    if (begun_.empty() && bytes.starts_with(waiting_.front().answer.bytes())) {
      bytes.remove_prefix(waiting_.front().answer.bytes().size());
      count(true, now);
      continue;
    }
    error = protocol_ == Protocol::logs ? take_line(bytes, now) : take_message(bytes, now);
  }
  return error;
}

// Its end is its LF, so that another answer than expected is counted, and the next one found.
std::string Answers::take_line(std::string_view& bytes, MonotonicTime now) {
  const std::size_t end = bytes.find('\n');
  const std::size_t length = end == std::string_view::npos ? bytes.size() : end + 1;
  begun_ += bytes.substr(0, length);
  bytes.remove_prefix(length);
  if (begun_.size() > kLineBytesMax) {
    return "an answer without an end";
  }
  if (end != std::string_view::npos) {
    count(begun_ == waiting_.front().answer.bytes(), now);
  }
  return {};
}

// Where it ends is known only of the expected one.
std::string Answers::take_message(std::string_view& bytes, MonotonicTime now) {
  const std::string_view expected = waiting_.front().answer.bytes();
  const std::size_t length = std::min(expected.size() - begun_.size(), bytes.size());
  begun_ += bytes.substr(0, length);
  bytes.remove_prefix(length);
  if (!expected.starts_with(begun_)) {
    count(false, now);
    return "another answer than expected";
  }
  if (begun_.size() == expected.size()) {
    count(true, now);
  }
  return {};
}

void Answers::count(bool as_expected, MonotonicTime now) {
  const Sent& sent = waiting_.front();
  AnswerTotals& totals = links_.totals;
  totals.latency.add(now - sent.at);
  if (as_expected) {
    ++totals.as_expected.at(static_cast<std::size_t>(sent.answer.kind));
    if (links_.record.is_open()) {
      links_.record.answered(links_.connection, answered_, sent.note,
                             kAnswerNames.at(static_cast<std::size_t>(sent.answer.kind)));
    }
  } else if (totals.others++ == 0) {
    totals.first_other =
        protocol_ == Protocol::logs
            ? begun_.substr(0, begun_.find('\n')) + " instead of " +
                  std::string(kAnswerNames.at(static_cast<std::size_t>(sent.answer.kind)))
            : "other bytes instead of " +
                  std::string(kAnswerNames.at(static_cast<std::size_t>(sent.answer.kind)));
  }
  begun_.clear();
  waiting_.pop_front();
  ++answered_;
}

}  // namespace sluice::load
