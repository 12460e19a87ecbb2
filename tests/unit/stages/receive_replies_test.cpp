// What a connection is told: ReplyBuffer, and Receive of those protocols that answer.
#include "stages/receive_replies.h"

#include <doctest/doctest.h>

#include <deque>
#include <thread>

#include "common/ndjson/log_line.h"
#include "common/rpc/answerer.h"
#include "receive_rig.h"

using namespace sluice;

namespace {

ConnectionPtr connect(Protocol protocol) {
  auto connection = std::make_shared<Connection>();
  connection->protocol = protocol;
  return connection;
}

std::string codes(const std::vector<LogVerdict>& verdicts) {
  std::string bytes;
  for (const LogVerdict verdict : verdicts) {
    bytes += static_cast<char>(verdict);
  }
  return bytes;
}

std::string texts(const std::vector<LogVerdict>& verdicts) {
  std::string text;
  for (const LogVerdict verdict : verdicts) {
    text += reply_text(verdict);
  }
  return text;
}

// All that is left, taken `bytes` at a time.
std::string drain(ReplyBuffer& buffer, std::size_t bytes) {
  std::string all;
  for (auto next = buffer.next(); !next.empty(); next = buffer.next()) {
    const auto part = next.first(std::min(bytes, next.size()));
    all += as_text(part);
    buffer.written(part.size());
  }
  return all;
}

Running::Setup of(Protocol protocol) {
  Running::Setup setup;
  setup.receiver.protocol = protocol;
  return setup;
}

}  // namespace

TEST_CASE("verdicts_become_text_in_order_however_little_is_taken_at_a_time") {
  const std::vector<LogVerdict> first{LogVerdict::received, LogVerdict::filtered,
                                      LogVerdict::invalid_json};
  const std::vector<LogVerdict> second(2000, LogVerdict::rate_limited);
  for (const std::size_t bytes : {1, 7, 100'000}) {
    CAPTURE(bytes);
    ReplyBuffer buffer;
    const auto connection = connect(Protocol::logs);
    buffer.push({connection, codes(first)});
    buffer.push({connection, codes(second)});
    CHECK(buffer.backlog_bytes() == 2003);
    CHECK(drain(buffer, bytes) == texts(first) + texts(second));
    CHECK(buffer.backlog_bytes() == 0);
    CHECK(buffer.next().empty());
    buffer.push({connection, codes(first)});
    CHECK(drain(buffer, bytes) == texts(first));
  }
}

TEST_CASE("answers_of_rpc_go_out_as_they_are") {
  ReplyBuffer buffer;
  const auto connection = connect(Protocol::rpc);
  std::string all;
  for (int i = 0; i < 50; ++i) {
    const std::string answer(static_cast<std::size_t>(i) * 997 % 40'000,
                             static_cast<char>('a' + i % 26));
    all += answer;
    buffer.push({connection, answer});
  }
  CHECK(drain(buffer, 4099) == all);
}

TEST_CASE("replies_stay_charged_until_they_are_written_or_dropped") {
  MemoryBudget budget(kMiB);
  const auto connection = connect(Protocol::logs);
  const std::string bytes(10'000, static_cast<char>(LogVerdict::received));
  for (const bool drops : {false, true}) {
    ReplyBuffer buffer;
    buffer.push({connection, bytes, ConnectionEnd::open, true, *budget.try_charge(bytes.size())});
    buffer.push({connection, bytes, ConnectionEnd::open, true, *budget.try_charge(bytes.size())});
    buffer.written(buffer.next().size());
    CHECK(budget.bytes_used() == 2 * bytes.size());
    if (drops) {
      buffer.drop();
      CHECK(buffer.next().empty());
      CHECK(buffer.backlog_bytes() == 0);
    } else {
      (void)drain(buffer, 100'000);
    }
    CHECK(budget.bytes_used() == 0);
  }
}

TEST_CASE("n6_many_short_replies_take_no_more_memory_than_their_bytes") {
  MemoryBudget budget(kMiB);
  const auto connection = connect(Protocol::logs);
  ReplyBuffer buffer;
  for (int i = 0; i < 16'000; ++i) {
    buffer.push({connection, codes({LogVerdict::filtered}), ConnectionEnd::open, true,
                 *budget.try_charge(1)});
  }
  CHECK(buffer.backlog_bytes() == 16'000);
  CHECK(budget.bytes_used() == 16'000);
  CHECK(connection.use_count() < 20);  // each reply that is kept as one has its share
  CHECK(drain(buffer, 1000) == texts(std::vector<LogVerdict>(16'000, LogVerdict::filtered)));
  CHECK(budget.bytes_used() == 0);
}

TEST_CASE("lines_are_answered_on_their_connection_and_its_end_with_fin") {
  Running running(of(Protocol::logs));
  auto client = running.client();
  REQUIRE(client.send("{}\n"));
  auto chunk = running.next();
  REQUIRE(chunk);
  running.reply(*chunk, codes({LogVerdict::missing_fields}));
  const std::string expected = texts({LogVerdict::missing_fields});
  CHECK(client.receive(expected.size()) == expected);
  CHECK(running.wait_until([&] { return chunk->connection->bytes_in_flight.load() == 0; }));
  client.finish();
  Chunk last;
  (void)running.read_to_end(last);
  running.answer(last, true);
  CHECK(client.ending() == LoopbackClient::Ending::fin);
}

TEST_CASE("n6_who_reads_no_answers_is_read_no_more_and_closed_after_the_reply_timeout") {
  Running::Setup setup = of(Protocol::logs);
  setup.receiver.reply_backlog_max = 1000;
  Running running(setup);
  auto client = running.client();
  REQUIRE(client.send("x"));
  auto chunk = running.next();
  REQUIRE(chunk);
  const ConnectionPtr connection = chunk->connection;
  // More than the sockets of both sides hold.
  const std::string many(kMiB, static_cast<char>(LogVerdict::missing_fields));
  running.reply(*chunk, many);
  REQUIRE(running.wait_until([&] { return connection->bytes_in_flight.load() == 0; }));
  running.turn();
  REQUIRE(client.send("y"));
  running.turn();
  CHECK(running.books.bytes_received.load() == 1);
  running.clock.advance(29s);
  running.turn();
  running.clock.advance(2s);
  running.turn();
  Chunk last;
  (void)running.read_to_end(last);
  CHECK(last.end == ConnectionEnd::timed_out);
  running.answer(last, true);
  CHECK(running.wait_until([&] { return running.limits.connections() == 0; }));
}

TEST_CASE("p1_who_reads_no_answers_does_not_hold_up_a_stop") {
  Running::Setup setup = of(Protocol::logs);
  setup.receiver.drain_timeout = 40s;
  Running running(setup);
  auto client = running.client();
  REQUIRE(client.send("x"));
  auto chunk = running.next();
  REQUIRE(chunk);
  const ConnectionPtr connection = chunk->connection;
  running.reply(*chunk, std::string(kMiB, static_cast<char>(LogVerdict::missing_fields)));
  REQUIRE(running.wait_until([&] { return connection->bytes_in_flight.load() == 0; }));
  running.thread.request_stop();
  Chunk last;
  (void)running.read_to_end(last);
  CHECK(last.end == ConnectionEnd::shutdown);
  running.answer(last, true);
  running.clock.advance(11s);
  CHECK(running.wait_until([&] {
    running.receiver.wake();
    return running.limits.connections() == 0;
  }));
  running.clock.advance(40s);
  running.receiver.wake();
}

TEST_CASE("p1_at_a_stop_bytes_that_nobody_reads_take_no_reply_away") {
  Running running(of(Protocol::logs));
  auto client = running.client();
  REQUIRE(client.send("x"));
  auto chunk = running.next();
  REQUIRE(chunk);
  constexpr std::size_t kReplies = 20'000;
  running.reply(*chunk, std::string(kReplies, static_cast<char>(LogVerdict::received)));
  REQUIRE(running.wait_until([&] { return chunk->connection->bytes_in_flight.load() == 0; }));
  running.thread.request_stop();
  Chunk last;
  (void)running.read_to_end(last);
  REQUIRE(last.end == ConnectionEnd::shutdown);
  REQUIRE(client.send("nobody reads this"));
  running.answer(last, true);
  const std::size_t bytes = kReplies * reply_text(LogVerdict::received).size();
  CHECK(client.receive(bytes).size() == bytes);
  CHECK(client.ending() == LoopbackClient::Ending::fin);
  CHECK(running.wait_until([&] { return running.limits.connections() == 0; }));
}

TEST_CASE("n7_chunks_that_are_not_answered_are_no_more_than_there_may_be") {
  Running::Setup setup = of(Protocol::logs);
  setup.receiver.bytes_in_flight_max = 2 * kChunkBytesCountedMin;
  Running running(setup);
  auto client = running.client();
  std::vector<Chunk> chunks;
  for (const char* line : {"1", "2"}) {
    REQUIRE(client.send(line));
    auto chunk = running.next();
    REQUIRE(chunk);
    chunks.push_back(std::move(*chunk));
  }
  REQUIRE(client.send("3"));
  CHECK_FALSE(running.next_within(200ms));
  running.reply(chunks[0], codes({LogVerdict::received}));
  auto third = running.next();
  REQUIRE(third);
  CHECK(third->bytes.text() == "3");
}

TEST_CASE("n7_bytes_that_are_not_answered_are_no_more_than_there_may_be") {
  Running::Setup setup = of(Protocol::logs);
  setup.receiver.bytes_in_flight_max = 4 * kChunkBytesCountedMin;
  setup.receiver.read_bytes_max = kChunkBytesCountedMin;
  Running running(setup);
  auto client = running.client();
  const std::string sent(64 * kChunkBytesCountedMin, 'x');
  std::jthread sender([&] { CHECK(client.send(sent)); });
  std::deque<Chunk> unanswered;
  std::size_t bytes = 0;
  std::size_t bytes_unanswered = 0;
  while (bytes < sent.size()) {
    if (unanswered.size() >= 4) {
      bytes_unanswered -= unanswered.front().bytes.size();
      running.reply(unanswered.front(), codes({LogVerdict::received}));
      unanswered.pop_front();
    }
    auto chunk = running.next();
    REQUIRE(chunk);
    bytes += chunk->bytes.size();
    bytes_unanswered += chunk->bytes.size();
    unanswered.push_back(std::move(*chunk));
    CHECK(bytes_unanswered <= setup.receiver.bytes_in_flight_max);
    CHECK(running.lane.queue.size() + unanswered.size() <= 4);
  }
}

TEST_CASE("a_connection_that_breaks_while_its_lane_is_full_ends_behind_what_was_read_of_it") {
  Running::Setup setup = of(Protocol::logs);
  setup.lane_capacity = 1;
  Running running(setup);
  auto client = running.client();
  REQUIRE(client.send("1\n"));
  auto first = running.next();
  REQUIRE(first);
  REQUIRE(client.send("2\n"));
  REQUIRE(running.wait_until([&] { return running.books.bytes_received.load() == 4; }));
  REQUIRE(client.send("3\n"));  // the lane is full
  REQUIRE(running.wait_until([&] { return running.books.bytes_received.load() == 6; }));
  client.reset();
  const ConnectionPtr connection = first->connection;
  running.reply(*first, codes({LogVerdict::received}));  // finds that nobody is there
  REQUIRE(running.wait_until([&] { return running.replies.size() == 0; }));
  running.turn();
  Chunk last;
  CHECK(running.read_to_end(last) == "2\n3\n");
  CHECK(last.end == ConnectionEnd::reset);
  running.answer(last, true);
  CHECK(running.wait_until([&] { return running.limits.connections() == 0; }));
}

TEST_CASE("n6_what_rpc_may_answer_is_charged_before_it_is_read") {
  Running running(of(Protocol::rpc));
  auto client = running.client();
  REQUIRE(client.send(std::string(1000, 'x')));
  auto chunk = running.next();
  REQUIRE(chunk);
  CHECK(chunk->carry.bytes() == answer_bytes_max(chunk->bytes.size()));
}
