#include "stages/frame_rpc.h"

#include <doctest/doctest.h>

#include <chrono>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "common/base/buffer.h"
#include "rpc/rpc_stream.h"

using namespace sluice;         // NOLINT
using namespace sluice::test;   // NOLINT
using namespace std::literals;  // NOLINT

namespace {

constexpr auto kWorstAdd = "\x12\x06\x08\xff\xff\xff\xff\x0f"sv;  // 8 bytes, answered by 13

// Plays Receive: each chunk in memory of its own, with its carry.
struct Feeder {
  MemoryBudget budget{64 * kMiB};
  Books books;
  RpcFramer framer;
  VectorOutbox<Reply> out;
  std::uint64_t received = 0;
  bool carries_answers = false;  // the carry is what the answers may need

  explicit Feeder(RpcFrameOptions options = {}) : framer(options, books) {}
  ~Feeder() { out.items.clear(); }

  static ConnectionPtr connect(ConnectionId id) {
    auto connection = std::make_shared<Connection>();
    connection->id = id;
    return connection;
  }

  void give(const ConnectionPtr& connection, std::string_view bytes,
            ConnectionEnd end = ConnectionEnd::open) {
    Chunk chunk;
    chunk.connection = connection;
    chunk.end = end;
    if (!bytes.empty()) {
      chunk.bytes = Buffer::copy_of(as_bytes(bytes), *budget.try_charge(bytes.size()));
      chunk.carry =
          *budget.try_charge(carries_answers ? answer_bytes_max(bytes.size()) : bytes.size());
      received += bytes.size();
    }
    REQUIRE(framer.process(std::move(chunk), out).ok());
    CHECK(received == books.bytes_answered + books.bytes_framing + books.bytes_refused);
  }

  // All replies to a connection, joined.
  std::string answers(const ConnectionPtr& connection) const {
    std::string all;
    for (const Reply& reply : out.items) {
      if (reply.connection == connection) {
        all += reply.bytes;
      }
    }
    return all;
  }
};

std::string joined(std::initializer_list<std::string_view> parts) {
  std::string all;
  for (const std::string_view part : parts) {
    all += part;
  }
  return all;
}

}  // namespace

TEST_CASE("requests_are_answered_from_here_in_the_order_of_their_connection") {
  Feeder feeder;
  const auto one = Feeder::connect(1);
  const auto other = Feeder::connect(2);
  feeder.give(one, joined({kEchoHi, kAdd10And20, kEchoHi.substr(0, 3)}));
  feeder.give(other, kAdd10And20.substr(0, 1));
  feeder.give(one, kEchoHi.substr(3));
  feeder.give(other, joined({kAdd10And20.substr(1), with_prefix(kEchoHi)}));
  CHECK(feeder.answers(one) == joined({kEchoHi, kSum30, kEchoHi}));
  CHECK(feeder.answers(other) == joined({kSum30, with_prefix(kEchoHi)}));
  CHECK(one->events == 3);
  CHECK(other->events == 2);
  CHECK(feeder.books.rpc_requests == 5);
  CHECK(feeder.out.items.size() == 3);
  for (const Reply& reply : feeder.out.items) {
    CHECK(reply.end == ConnectionEnd::open);
  }
}

TEST_CASE("half_a_request_is_held_and_counted") {
  Feeder feeder;
  const auto connection = Feeder::connect(1);
  feeder.give(connection, joined({kEchoHi, kEchoHi.substr(0, 5)}));
  CHECK(connection->bytes_framing == 5);
  CHECK(feeder.books.bytes_framing == 5);
  CHECK(feeder.books.bytes_answered == 6);
  feeder.out.items.clear();
  CHECK(feeder.budget.bytes_used() == 5);
  feeder.give(connection, kEchoHi.substr(5));
  CHECK(connection->bytes_framing == 0);
  CHECK(feeder.books.bytes_framing == 0);
  CHECK(feeder.budget.bytes_used() == feeder.out.items.at(0).bytes.size());
  feeder.out.items.clear();
  CHECK(feeder.budget.bytes_used() == 0);
}

TEST_CASE("the_end_of_a_connection_is_answered_behind_its_last_reply") {
  Feeder feeder;
  const auto connection = Feeder::connect(1);
  feeder.give(connection, kEchoHi, ConnectionEnd::finished);
  REQUIRE(feeder.out.items.size() == 2);
  CHECK(feeder.out.items[0].bytes == kEchoHi);
  CHECK(feeder.out.items[0].end == ConnectionEnd::open);
  CHECK(feeder.out.items[1].bytes.empty());
  CHECK(feeder.out.items[1].end == ConnectionEnd::finished);
  CHECK(feeder.out.items[1].durable);
  CHECK(feeder.books.rpc_malformed == 0);
}

TEST_CASE("a_request_that_is_cut_by_the_end_is_counted_and_dropped") {
  Feeder feeder;
  const auto connection = Feeder::connect(1);
  feeder.give(connection, joined({kEchoHi, kEchoHi.substr(0, 5)}));
  feeder.give(connection, "", ConnectionEnd::finished);
  REQUIRE(feeder.out.items.size() == 2);
  CHECK(feeder.out.items[1].end == ConnectionEnd::finished);
  CHECK(feeder.books.bytes_refused == 5);
  CHECK(feeder.books.bytes_framing == 0);
  CHECK(feeder.books.rpc_malformed == 1);
  CHECK(connection->bytes_framing == 0);
  CHECK(connection->malformed == 1);
  feeder.out.items.clear();
  CHECK(feeder.budget.bytes_used() == 0);
  // Nothing is left of it.
  feeder.give(Feeder::connect(1), kAdd10And20);
  CHECK(feeder.out.items.at(0).bytes == kSum30);
}

TEST_CASE("bad_bytes_close_their_connection_and_no_other") {
  Feeder feeder;
  const auto bad = Feeder::connect(1);
  const auto good = Feeder::connect(2);
  feeder.give(bad, kEchoHi.substr(0, 2));
  feeder.give(bad, joined({kEchoHi.substr(2), "GET / HTTP/1.1\r\n"}));
  CHECK(feeder.answers(bad) == kEchoHi);
  CHECK(bad->refuse);
  CHECK(bad->bytes_framing == 0);
  CHECK(bad->malformed == 1);
  CHECK(feeder.books.bytes_answered == 6);
  CHECK(feeder.books.bytes_refused == 16);
  CHECK(feeder.books.rpc_malformed == 1);
  feeder.give(bad, kEchoHi);
  CHECK(feeder.answers(bad) == kEchoHi);
  CHECK(feeder.books.bytes_refused == 22);
  feeder.give(bad, "", ConnectionEnd::refused);
  CHECK(feeder.out.items.back().end == ConnectionEnd::refused);
  CHECK(feeder.books.rpc_malformed == 1);
  feeder.give(good, kEchoHi);
  CHECK_FALSE(good->refuse);
  CHECK(feeder.answers(good) == kEchoHi);
  feeder.out.items.clear();
  CHECK(feeder.budget.bytes_used() == 0);
}

TEST_CASE("a_request_over_the_limit_is_refused_before_it_is_there") {
  Feeder feeder({.message_bytes_max = 100, .reply_bytes_max = kMiB});
  const auto connection = Feeder::connect(1);
  feeder.give(connection, echo_request(std::string(200, 'x')).substr(0, 3));
  CHECK(connection->refuse);
  CHECK(feeder.books.bytes_refused == 3);
}

TEST_CASE("long_answers_go_in_several_replies_each_with_its_charge") {
  Feeder feeder({.message_bytes_max = 4 * kMiB, .reply_bytes_max = 1000});
  const auto connection = Feeder::connect(1);
  const std::string echo = echo_request(std::string(2500, 'x'));
  for (std::size_t begin = 0; begin < echo.size(); begin += 700) {
    feeder.give(connection, std::string_view(echo).substr(begin, 700));
  }
  CHECK(feeder.answers(connection) == echo);
  REQUIRE(feeder.out.items.size() == 3);
  for (const Reply& reply : feeder.out.items) {
    CHECK(reply.bytes.size() <= 1000);
    CHECK(reply.charge.bytes() == reply.bytes.size());
  }
  CHECK(feeder.budget.bytes_used() == echo.size());
}

TEST_CASE("what_is_held_is_paid_for_before_the_answers_are") {
  Feeder feeder;
  const auto connection = Feeder::connect(1);
  feeder.give(connection, joined({kWorstAdd, kWorstAdd, kWorstAdd.substr(0, 5)}));
  REQUIRE(feeder.out.items.size() == 1);
  CHECK(feeder.out.items[0].bytes.size() == 26);
  CHECK(feeder.out.items[0].charge.bytes() == 16);
  feeder.out.items.clear();
  CHECK(feeder.budget.bytes_used() == 5);
}

TEST_CASE("a_carry_that_counts_answers_always_pays_for_them") {
  Feeder feeder;
  feeder.carries_answers = true;
  const auto connection = Feeder::connect(1);
  for (int i = 0; i < 50; ++i) {
    feeder.give(connection, joined({kWorstAdd, kWorstAdd, kWorstAdd.substr(0, 5)}));
    feeder.give(connection, kWorstAdd.substr(5));
  }
  std::size_t bytes = 0;
  for (const Reply& reply : feeder.out.items) {
    CHECK(reply.charge.bytes() == reply.bytes.size());
    bytes += reply.bytes.size();
  }
  CHECK(bytes == 50 * 3 * 13);
}

TEST_CASE("however_chunks_are_cut_the_answers_are_the_same_and_the_books_balance") {
  const auto seed =
      static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
  MESSAGE("seed " << seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 50; ++round) {
    Feeder feeder;
    std::vector<ConnectionPtr> connections;
    std::vector<std::string> streams(3);
    std::vector<std::string> answers(3);
    for (ConnectionId id = 0; id < streams.size(); ++id) {
      connections.push_back(Feeder::connect(id + 1));
      for (std::size_t i = random() % 30; i > 0; --i) {
        const std::string request = random() % 2 == 0
                                        ? echo_request(std::string(random() % 600, 'x'))
                                        : add_request(static_cast<std::int32_t>(random()), 1);
        const bool prefixed = random() % 2 == 0;
        const std::string reply = answer_of_libprotobuf(request);
        streams[id] += prefixed ? with_prefix(request) : request;
        answers[id] += prefixed ? with_prefix(reply) : reply;
      }
    }
    std::vector<std::size_t> begins(streams.size());
    for (std::size_t open = streams.size(); open > 0;) {
      const std::size_t turn = random() % streams.size();
      if (begins[turn] > streams[turn].size()) {
        continue;  // ended
      }
      const auto part = std::string_view(streams[turn]).substr(begins[turn], 1 + random() % 500);
      const bool last = begins[turn] == streams[turn].size();
      feeder.give(connections[turn], part, last ? ConnectionEnd::finished : ConnectionEnd::open);
      begins[turn] += last ? 1 : part.size();
      open -= last ? 1 : 0;
    }
    for (std::size_t i = 0; i < streams.size(); ++i) {
      CHECK(feeder.answers(connections[i]) == answers[i]);
    }
    CHECK(feeder.books.bytes_answered == feeder.received);
    feeder.out.items.clear();
    CHECK(feeder.budget.bytes_used() == 0);
  }
}

TEST_CASE("n6_a_chunk_is_in_flight_until_the_last_of_its_answers_is_taken") {
  Books books;
  RpcFramer framer({.reply_bytes_max = 4}, books);
  VectorOutbox<Reply> out;
  const ConnectionPtr connection = Feeder::connect(1);
  const auto give = [&](std::string_view bytes) {
    Chunk chunk;
    chunk.connection = connection;
    chunk.bytes = Buffer::copy_of(as_bytes(bytes), Charge());
    chunk.in_flight = InFlight(connection, chunk.bytes.size());
    REQUIRE(framer.process(std::move(chunk), out).ok());
  };
  give(kEchoHi.substr(0, 3));
  CHECK(connection->bytes_in_flight == 0);
  give(kEchoHi.substr(3));
  REQUIRE(out.items.size() == 2);
  CHECK(connection->bytes_in_flight == kChunkBytesCountedMin);
  out.items.erase(out.items.begin());
  CHECK(connection->bytes_in_flight == kChunkBytesCountedMin);
  out.items.clear();
  CHECK(connection->bytes_in_flight == 0);
}
