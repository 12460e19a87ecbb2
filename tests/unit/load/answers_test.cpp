// How sluice-load judges what is answered.
#include "answers.h"

#include <doctest/doctest.h>

#include "random.h"

using namespace sluice::load;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view kOk = "{\"status\": \"ok\", \"message\": \"received\"}\n";
constexpr std::string_view kLimited =
    "{\"status\": \"error\", \"message\": \"rate limit exceeded\"}\n";
const sluice::MonotonicTime kBegin{100s};

struct Judge {
  explicit Judge(Protocol protocol) : answers(protocol, {totals, unopened, 0}) {}

  void sent(std::string_view expected, std::chrono::nanoseconds after = 0s) {
    RenderedEvent event;
    event.answer.own = expected;
    answers.sent(std::move(event), kBegin + after);
  }

  AnswerTotals totals;
  Record unopened;
  Answers answers;
};

}  // namespace

TEST_CASE("answers_are_found_wherever_the_stream_is_cut") {
  constexpr std::uint64_t kSeed = 5;
  CAPTURE(kSeed);
  Random random(kSeed);
  for (const Protocol protocol : {Protocol::logs, Protocol::rpc}) {
    Judge judge(protocol);
    std::string stream;
    for (int i = 0; i < 500; ++i) {
      judge.sent(kOk);
      stream += kOk;
    }
    for (std::size_t at = 0; at < stream.size();) {
      const std::size_t length = 1 + random.below(100);
      CHECK(judge.answers.take(std::string_view(stream).substr(at, length), kBegin) == "");
      at += length;
    }
    CHECK(judge.totals.as_expected.at(0) == 500);
    CHECK(judge.totals.others == 0);
    CHECK(judge.answers.waiting() == 0);
    CHECK(judge.answers.answered() == 500);
  }
}

TEST_CASE("another_answer_to_a_line_is_counted_and_the_next_one_is_judged_alone") {
  Judge judge(Protocol::logs);
  for (int i = 0; i < 3; ++i) {
    judge.sent(kOk);
  }
  std::string almost(kOk);
  almost.erase(almost.find(' '), 1);
  CHECK(judge.answers.take(std::string(kLimited) + std::string(kOk) + almost, kBegin) == "");
  CHECK(judge.totals.as_expected.at(0) == 1);
  CHECK(judge.totals.others == 2);
  CHECK(judge.totals.first_other ==
        "{\"status\": \"error\", \"message\": \"rate limit exceeded\"} instead of received");
}

TEST_CASE("another_answer_to_a_request_ends_the_connection_at_its_first_wrong_byte") {
  Judge judge(Protocol::rpc);
  judge.sent("\x12\x02\x08\x1e");
  judge.sent("\x12\x02\x08\x1e");
  CHECK(judge.answers.take("\x12\x02\x08\x1e\x12\x02\x08", kBegin) == "");
  CHECK(judge.answers.take("\x1f", kBegin) != "");
  CHECK(judge.totals.others == 1);
}

TEST_CASE("an_answer_that_nothing_asked_for_is_an_error") {
  Judge judge(Protocol::logs);
  judge.sent(kOk);
  CHECK(judge.answers.take(std::string(kOk) + std::string(kOk), kBegin) != "");
}

TEST_CASE("an_answer_without_an_end_is_an_error") {
  Judge judge(Protocol::logs);
  judge.sent(kOk);
  CHECK(judge.answers.take(std::string(5000, 'x'), kBegin) != "");
}

TEST_CASE("latency_runs_from_the_send_of_the_line_that_is_answered") {
  Judge judge(Protocol::logs);
  judge.sent(kOk, 0ms);
  judge.sent(kOk, 40ms);
  CHECK(judge.answers.take(kOk, kBegin + 10ms) == "");
  CHECK(judge.totals.latency.longest() == 10ms);
  CHECK(judge.answers.take(kOk, kBegin + 60ms) == "");
  CHECK(judge.totals.latency.longest() == 20ms);
  CHECK(judge.totals.latency.count() == 2);
}
