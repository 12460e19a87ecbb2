// Frame of the logs stream: chunks in, batches of the lines that are kept out, with a verdict for
// each line.
#include "stages/frame_logs.h"

#include <doctest/doctest.h>

#include <chrono>
#include <random>
#include <string>
#include <vector>

#include "common/base/buffer.h"
#include "test_clock.h"

using namespace sluice;
using Verdicts = std::vector<LogVerdict>;
using Lines = std::vector<std::string>;

namespace {

const std::string kKept = R"({"level":"INFO","message":"m"})";
const std::string kFiltered = R"({"level":"DEBUG","message":"m"})";

// Plays Receive: each chunk in memory of its own, with its carry.
struct Feeder {
  MemoryBudget budget{64 * kMiB};
  ManualClock clock;
  Books books;
  std::optional<RateLimiter> limiter;
  LogFramer framer;
  VectorOutbox<SpoolInput> out;
  std::uint64_t received = 0;

  explicit Feeder(const LogFrameOptions& options = {}, std::optional<std::uint64_t> limit = {})
      : limiter(limit ? std::optional<RateLimiter>(
                            std::in_place, RateLimiter::Limit{*limit, std::chrono::minutes(1)})
                      : std::nullopt),
        framer(options, {clock, books, limiter ? &*limiter : nullptr}) {}
  ~Feeder() { out.items.clear(); }

  static ConnectionPtr connect(ConnectionId id = 1) {
    auto connection = std::make_shared<Connection>();
    connection->id = id;
    connection->protocol = Protocol::logs;
    return connection;
  }

  void give(const ConnectionPtr& connection, std::string_view bytes,
            ConnectionEnd end = ConnectionEnd::open) {
    Chunk chunk;
    chunk.connection = connection;
    chunk.end = end;
    chunk.received_at = clock.wall_now();
    chunk.in_flight = InFlight(connection, bytes.size());
    if (!bytes.empty()) {
      chunk.bytes = Buffer::copy_of(as_bytes(bytes), *budget.try_charge(bytes.size()));
      chunk.carry = *budget.try_charge(bytes.size());
      received += bytes.size();
    }
    REQUIRE(framer.process(std::move(chunk), out).ok());
    CHECK(received ==
          books.bytes_batched + books.bytes_framing + books.bytes_separators + books.bytes_refused);
  }

  [[nodiscard]] const Batch& batch(std::size_t i) const { return std::get<Batch>(out.items.at(i)); }
  [[nodiscard]] std::size_t batches() const { return out.items.size(); }
  // Of all batches.
  [[nodiscard]] Verdicts verdicts() const {
    Verdicts all;
    for (std::size_t i = 0; i < batches(); ++i) {
      for (const char code : batch(i).replies) {
        all.push_back(static_cast<LogVerdict>(code));
      }
    }
    return all;
  }
  [[nodiscard]] Lines kept() const {
    Lines all;
    for (std::size_t i = 0; i < batches(); ++i) {
      std::string run;
      for (const Buffer& part : batch(i).run) {
        run += part.text();
      }
      REQUIRE(run.size() == batch(i).run_bytes);
      REQUIRE(batch(i).events == batch(i).pieces.size());
      for (const Piece& piece : batch(i).pieces) {
        all.push_back(run.substr(piece.begin, piece.length));
      }
    }
    return all;
  }
};

}  // namespace

TEST_CASE("each_line_has_its_verdict_in_order_and_those_that_are_kept_are_in_the_run") {
  Feeder feeder;
  const auto connection = Feeder::connect();
  feeder.give(connection, kKept + "\r\n\n  \n" + kFiltered + "\n{}\nno\n[]\n  " + kKept + " \n");
  CHECK(feeder.verdicts() == Verdicts{LogVerdict::received, LogVerdict::filtered,
                                      LogVerdict::missing_fields, LogVerdict::invalid_json,
                                      LogVerdict::not_an_object, LogVerdict::received});
  CHECK(feeder.kept() == Lines{kKept, kKept});
  CHECK(feeder.books.events_framed.load() == 2);
  CHECK(feeder.books.lines_filtered.load() == 1);
  CHECK(feeder.books.lines_invalid.load() == 3);
  CHECK(feeder.books.bytes_framing.load() == 0);
}

TEST_CASE("a_line_is_answered_with_the_chunk_that_ends_it_and_not_before") {
  Feeder feeder;
  const auto connection = Feeder::connect();
  feeder.give(connection, kKept.substr(0, 10));
  CHECK(feeder.batches() == 0);
  CHECK(connection->bytes_framing.load() == 10);
  CHECK(connection->bytes_in_flight.load() == 0);
  feeder.clock.advance(std::chrono::seconds(5));
  feeder.give(connection, kKept.substr(10) + "\n");
  REQUIRE(feeder.batches() == 1);
  CHECK(feeder.verdicts() == Verdicts{LogVerdict::received});
  CHECK(feeder.kept() == Lines{kKept});
  // When its first byte came.
  CHECK(feeder.batch(0).first_byte_at == feeder.clock.wall_now() - std::chrono::seconds(5));
  CHECK(connection->bytes_framing.load() == 0);
  CHECK(connection->bytes_in_flight.load() == kChunkBytesCountedMin);
  CHECK(feeder.batch(0).replies_charge.bytes() == 1);
  feeder.out.items.clear();
  CHECK(connection->bytes_in_flight.load() == 0);
  CHECK(feeder.budget.bytes_used() == 0);
}

TEST_CASE("a_last_line_without_its_line_feed_is_one_only_where_the_client_said_it_was_the_last") {
  for (const ConnectionEnd end : {ConnectionEnd::finished, ConnectionEnd::reset,
                                  ConnectionEnd::timed_out, ConnectionEnd::shutdown}) {
    CAPTURE(to_string(end));
    Feeder feeder;
    const auto connection = Feeder::connect();
    feeder.give(connection, kKept + "\n");
    feeder.give(connection, kKept);
    feeder.give(connection, "", end);
    const bool finished = end == ConnectionEnd::finished;
    CHECK(feeder.verdicts() == Verdicts(finished ? 2 : 1, LogVerdict::received));
    CHECK(feeder.kept() == Lines(finished ? 2 : 1, kKept));
    CHECK(feeder.batch(feeder.batches() - 1).end == end);
    CHECK(feeder.books.bytes_refused.load() == (finished ? 0 : kKept.size()));
    CHECK(feeder.books.bytes_framing.load() == 0);
  }
}

TEST_CASE("an_end_that_comes_with_bytes_comes_behind_them") {
  Feeder feeder;
  const auto connection = Feeder::connect();
  feeder.give(connection, kKept + "\n" + kKept, ConnectionEnd::finished);
  REQUIRE(feeder.batches() == 1);
  CHECK(feeder.kept() == Lines{kKept, kKept});
  CHECK(feeder.batch(0).end == ConnectionEnd::finished);
}

TEST_CASE("n6_a_line_over_the_limit_is_answered_once_and_its_neighbours_are_kept") {
  Feeder feeder({.line_bytes_max = 100});
  const auto connection = Feeder::connect();
  feeder.give(connection, kKept + "\n" + std::string(150, 'x'));
  feeder.give(connection, std::string(1000, 'x'));
  CHECK(feeder.budget.bytes_used() < 1000);
  feeder.give(connection, "x\n" + kKept + "\n");
  CHECK(feeder.verdicts() ==
        Verdicts{LogVerdict::received, LogVerdict::invalid_json, LogVerdict::received});
  CHECK(feeder.kept() == Lines{kKept, kKept});
  CHECK(feeder.books.bytes_refused.load() == 1151);
}

TEST_CASE("n6_each_line_counts_against_the_limit_and_those_over_it_are_answered_and_not_kept") {
  Feeder feeder({}, 3);
  const auto connection = Feeder::connect();
  feeder.give(connection, kKept + "\nno\n");
  feeder.give(connection, kKept + "\n" + kKept + "\n");
  CHECK(feeder.verdicts() == Verdicts{LogVerdict::received, LogVerdict::invalid_json,
                                      LogVerdict::received, LogVerdict::rate_limited});
  CHECK(feeder.books.lines_rate_limited.load() == 1);
  feeder.clock.advance(std::chrono::seconds(61));
  feeder.give(connection, kKept + "\n");
  CHECK(feeder.verdicts().back() == LogVerdict::received);
}

TEST_CASE("a_batch_is_closed_before_its_run_gets_too_long_and_a_chunk_makes_two_at_most") {
  const std::string long_line = R"({"level":"INFO","message":")" + std::string(900, 'y') + "\"}";
  Feeder feeder({.run_bytes_max = 1000});
  const auto connection = Feeder::connect();
  feeder.give(connection, long_line);
  feeder.give(connection, "\n" + kKept + "\n" + kKept + "\n" + kKept + "\n" + kKept + "\n");
  CHECK(feeder.batches() == 2);
  CHECK(feeder.kept() == Lines{long_line, kKept, kKept, kKept, kKept});
  CHECK(feeder.verdicts() == Verdicts(5, LogVerdict::received));
  CHECK(feeder.batch(0).run_bytes <= 1000);
}

TEST_CASE("however_the_bytes_are_cut_the_same_lines_are_kept_and_the_books_balance") {
  const auto seed =
      static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
  MESSAGE("seed ", seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 300; ++round) {
    std::string sent;
    while (sent.size() < 2000) {
      switch (random() % 7) {
        case 0:
          sent += "\n \r\n";
          break;
        case 1:
          sent += kFiltered + "\n";
          break;
        case 2:
          sent += std::string(random() % 300, 'x') + "\n";
          break;
        default:
          sent += R"({"level":"INFO","message":")" + std::string(random() % 120, 'm') + "\"}\n";
      }
    }
    Feeder whole({.line_bytes_max = 200, .run_bytes_max = 500});
    whole.give(Feeder::connect(), sent);
    Feeder cut({.line_bytes_max = 200, .run_bytes_max = 500});
    const auto connection = Feeder::connect();
    for (std::size_t at = 0; at < sent.size();) {
      const std::size_t bytes = std::min<std::size_t>(1 + random() % 80, sent.size() - at);
      cut.give(connection, std::string_view(sent).substr(at, bytes));
      at += bytes;
    }
    REQUIRE(whole.kept() == cut.kept());
    REQUIRE(whole.verdicts() == cut.verdicts());
    cut.out.items.clear();
    REQUIRE(cut.budget.bytes_used() == 0);
  }
}
