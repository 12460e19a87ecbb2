#include "stages/frame.h"

#include <doctest/doctest.h>

#include <chrono>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "common/base/buffer.h"
#include "xml/framing.h"

using namespace sluice;         // NOLINT
using namespace std::literals;  // NOLINT

namespace {

constexpr std::size_t kSlabBytes = 64 * kKiB;

// Plays Receive: one slab, chunks cut from it, each with its carry.
struct Feeder {
  MemoryBudget budget{64 * kMiB};
  Books books;
  Framer framer;
  VectorOutbox<SpoolInput> out;
  Buffer slab;
  std::int64_t clock = 0;
  std::uint64_t received = 0;

  explicit Feeder(FrameOptions options = {}) : framer(options, books) {}

  static ConnectionPtr connect(ConnectionId id) {
    auto connection = std::make_shared<Connection>();
    connection->id = id;
    return connection;
  }

  void give(const ConnectionPtr& connection, std::string_view text,
            ConnectionEnd end = ConnectionEnd::open) {
    Chunk chunk;
    chunk.connection = connection;
    chunk.received_at = WallTime(std::chrono::nanoseconds(++clock));
    chunk.end = end;
    if (!text.empty()) {
      if (slab.size() < text.size()) {
        slab = Buffer::allocate(std::max(kSlabBytes, text.size()),
                                *budget.try_charge(std::max(kSlabBytes, text.size())));
      }
      chunk.bytes = slab.share(0, text.size());
      std::memcpy(chunk.bytes.writable().data(), text.data(), text.size());
      slab.remove_prefix(text.size());
      chunk.carry = *budget.try_charge(text.size());
      received += text.size();
    }
    REQUIRE(framer.process(std::move(chunk), out).ok());
    check_books();
  }

  void check_books() const {
    CHECK(received ==
          books.bytes_batched + books.bytes_framing + books.bytes_separators + books.bytes_refused);
  }

  // All batches of a connection.
  std::vector<const Batch*> batches(const ConnectionPtr& connection) const {
    std::vector<const Batch*> found;
    for (const SpoolInput& item : out.items) {
      const auto* batch = std::get_if<Batch>(&item);
      if (batch != nullptr && batch->connection == connection) {
        found.push_back(batch);
      }
    }
    return found;
  }
};

std::string run_of(const Batch& batch) {
  std::string run;
  for (const Buffer& part : batch.run) {
    run += part.text();
  }
  return run;
}

std::vector<std::string> pieces_of(const std::vector<const Batch*>& batches) {
  std::vector<std::string> lines;
  for (const Batch* batch : batches) {
    const std::string run = run_of(*batch);
    CHECK(run.size() == batch->run_bytes);
    std::uint32_t events = 0;
    std::size_t behind = 0;
    for (const Piece& piece : batch->pieces) {
      REQUIRE(piece.begin >= behind);
      behind = piece.begin + piece.length;
      REQUIRE(behind <= run.size());
      const bool event = piece.kind == PieceKind::event;
      events += event ? 1 : 0;
      lines.push_back((event ? "E:"s : "M" + std::to_string(static_cast<int>(piece.reason)) + ":") +
                      run.substr(piece.begin, piece.length) + (piece.continues ? "…" : ""));
    }
    if (!batch->pieces.empty()) {
      CHECK(batch->pieces.front().begin == 0);  // no separators at either end
      CHECK(behind == run.size());
    } else {
      CHECK(run.empty());
    }
    CHECK(events == batch->events);
  }
  return lines;
}

}  // namespace

TEST_CASE("events_leave_at_their_closing_tag") {
  Feeder feeder;
  const auto connection = Feeder::connect(1);
  feeder.give(connection, "\n<EVENT><a>1</a></EV");
  CHECK(feeder.out.items.empty());
  CHECK(connection->bytes_framing == 19);
  CHECK(feeder.books.bytes_separators == 1);
  feeder.give(connection, "ENT>");
  REQUIRE(feeder.out.items.size() == 1);
  CHECK(connection->bytes_framing == 0);
  CHECK(connection->events == 1);
  CHECK(pieces_of(feeder.batches(connection)) ==
        std::vector<std::string>{"E:<EVENT><a>1</a></EVENT>"});
  CHECK(feeder.batches(connection)[0]->first_byte_at == WallTime(std::chrono::nanoseconds(1)));
}

TEST_CASE("separators_between_pieces_lie_in_the_run_and_those_at_its_ends_do_not") {
  Feeder feeder;
  const auto connection = Feeder::connect(1);
  feeder.give(connection, "\n\n<a/>\n<b/><!-- c --><d/>\n\n\n<e");
  const auto batches = feeder.batches(connection);
  REQUIRE(batches.size() == 1);
  CHECK(run_of(*batches[0]) == "<a/>\n<b/><!-- c --><d/>");
  CHECK(feeder.books.bytes_separators == 5);
  CHECK(feeder.books.bytes_framing == 2);
}

TEST_CASE("slices_are_not_copied_and_an_idle_connection_holds_no_slab") {
  Feeder feeder;
  const auto connection = Feeder::connect(1);
  feeder.give(connection, "<a/><b/><c");
  const auto* begin = feeder.batches(connection)[0]->run[0].bytes().data();
  CHECK(feeder.batches(connection)[0]->run[0].capacity() == kSlabBytes);
  CHECK(std::string_view(reinterpret_cast<const char*>(begin), 8) == "<a/><b/>");
  feeder.out.items.clear();
  feeder.slab.reset();
  CHECK(feeder.budget.bytes_used() == 2);  // "<c"
  feeder.give(connection, "/>", ConnectionEnd::finished);
  feeder.out.items.clear();
  feeder.slab.reset();
  CHECK(feeder.budget.bytes_used() == 0);
}

TEST_CASE("n2_an_event_in_bytes_costs_what_it_is_long") {
  Feeder feeder;
  const auto connection = Feeder::connect(1);
  const std::string text = "<EVENT>" + std::string(200000, 'x') + "</EVENT>";
  for (std::size_t at = 0; at < text.size(); at += 7) {
    feeder.give(connection, std::string_view(text).substr(at, 7));
    if (at % 7000 == 0) {
      feeder.slab.reset();
      CHECK(feeder.budget.bytes_used() == connection->bytes_framing);
    }
  }
  CHECK(pieces_of(feeder.batches(connection)) == std::vector<std::string>{"E:" + text});
}

TEST_CASE("a_large_event_is_kept_by_reference_over_many_chunks") {
  Feeder feeder;
  const auto connection = Feeder::connect(1);
  const std::string text = "<EVENT>" + std::string(900000, 'x') + "</EVENT><a/>";
  for (std::size_t at = 0; at < text.size(); at += kSlabBytes) {
    feeder.give(connection, std::string_view(text).substr(at, kSlabBytes));
  }
  const auto batches = feeder.batches(connection);
  REQUIRE(batches.size() == 1);
  CHECK(batches[0]->pieces.size() == 2);
  CHECK(run_of(*batches[0]) == text);
  CHECK(batches[0]->run[0].size() == kSlabBytes);
}

TEST_CASE("n4_the_end_of_a_connection_takes_the_partial_event_with_it") {
  Feeder feeder;
  const auto connection = Feeder::connect(1);
  feeder.give(connection, "<a/><EVENT><b");
  feeder.give(connection, "", ConnectionEnd::reset);
  const auto batches = feeder.batches(connection);
  REQUIRE(batches.size() == 2);
  CHECK(batches[0]->end == ConnectionEnd::open);
  CHECK(batches[1]->end == ConnectionEnd::reset);
  CHECK(pieces_of(batches) == std::vector<std::string>{"E:<a/>", "M4:<EVENT><b"});
  CHECK(connection->bytes_framing == 0);
  CHECK(feeder.books.bytes_framing == 0);
  CHECK(connection->malformed == 1);
}

TEST_CASE("n1_an_empty_connection_gives_only_its_end") {
  Feeder feeder;
  const auto connection = Feeder::connect(1);
  feeder.give(connection, "", ConnectionEnd::finished);
  const auto batches = feeder.batches(connection);
  REQUIRE(batches.size() == 1);
  CHECK(batches[0]->pieces.empty());
  CHECK(batches[0]->end == ConnectionEnd::finished);
}

TEST_CASE("n10_a_connection_that_is_no_xml_is_refused") {
  Feeder feeder;
  const auto connection = Feeder::connect(1);
  const auto other = Feeder::connect(2);
  feeder.give(connection, "GET / HTTP/1.1\r\n");
  CHECK(connection->refuse);
  feeder.give(other, "<EVENT/>");
  CHECK(!other->refuse);
  feeder.give(connection, "", ConnectionEnd::refused);
  CHECK(pieces_of(feeder.batches(connection)) ==
        std::vector<std::string>{"M12:GET / HTTP/1.1\r\n"});
}

TEST_CASE("x11_refused_bytes_are_in_no_run") {
  FrameOptions options;
  options.limits.event_bytes_max = 20;
  options.limits.long_event_sample_bytes = 30;
  Feeder feeder(options);
  const auto connection = Feeder::connect(1);
  const std::string lengthy = "<EVENT>" + std::string(100, 'x') + "</EVENT>";
  feeder.give(connection, "<EVENT/> " + lengthy + "<EVENT/> <EVENT/>");
  CHECK(pieces_of(feeder.batches(connection)) ==
        std::vector<std::string>{"E:<EVENT/>", "M5:" + lengthy.substr(0, 30), "E:<EVENT/>",
                                 "E:<EVENT/>"});
  CHECK(feeder.books.bytes_refused == lengthy.size() - 30);
}

TEST_CASE("runs_stay_under_their_bound") {
  FrameOptions options;
  options.run_bytes_max = 100;
  Feeder feeder(options);
  const auto connection = Feeder::connect(1);
  std::string text;
  for (int i = 0; i < 1000; ++i) {
    text += "<a>12345</a>\n";
  }
  feeder.give(connection, text + "<b>" + std::string(500, 'x') + "</b><a/>");
  std::size_t pieces = 0;
  for (const Batch* batch : feeder.batches(connection)) {
    CHECK((batch->run_bytes <= 100 || batch->pieces.size() == 1));
    pieces += batch->pieces.size();
  }
  CHECK(pieces == 1002);
}

TEST_CASE("n8_the_books_balance_and_the_pieces_are_the_same_however_chunks_are_cut") {
  const auto seed =
      static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
  MESSAGE("seed " << seed);
  std::mt19937_64 random(seed);
  const std::vector<std::string> fragments = {"<EVENT><a>1</a></EVENT>",
                                              "\n",
                                              "<EVENT>",
                                              "</EVENT>",
                                              "<!--",
                                              "-->",
                                              "junk",
                                              "<![CDATA[",
                                              "]]>",
                                              "<?xml version='1.0'?><EVENT/>",
                                              "<a b='",
                                              "'/>",
                                              std::string(300, 'y'),
                                              " ",
                                              "<b>",
                                              std::string("\0\0", 2)};
  for (int round = 0; round < 200; ++round) {
    FrameOptions options;
    options.limits.event_bytes_max = 100 + random() % 1000;
    options.limits.long_event_sample_bytes = 150;
    options.limits.malformed_piece_bytes_max = 120;
    options.limits.not_xml_sample_bytes = 50;
    options.run_bytes_max = static_cast<std::uint32_t>(1 + random() % 2000);
    Feeder feeder(options);
    std::vector<ConnectionPtr> connections;
    std::vector<std::string> streams;
    std::vector<std::size_t> sent;
    for (ConnectionId id = 1; id <= 3; ++id) {
      connections.push_back(Feeder::connect(id));
      std::string text = random() % 8 == 0 ? "" : "<EVENT/>";
      for (std::size_t i = random() % 60; i > 0; --i) {
        text += fragments[random() % fragments.size()];
      }
      streams.push_back(text);
      sent.push_back(0);
    }
    for (bool more = true; more;) {
      more = false;
      for (std::size_t i = 0; i < streams.size(); ++i) {
        const std::size_t bytes =
            std::min<std::size_t>(streams[i].size() - sent[i], 1 + random() % 700);
        if (bytes > 0) {
          feeder.give(connections[i], std::string_view(streams[i]).substr(sent[i], bytes));
          sent[i] += bytes;
          more = true;
        }
      }
    }
    for (std::size_t i = 0; i < streams.size(); ++i) {
      feeder.give(connections[i], "", ConnectionEnd::finished);
      std::vector<std::string> expected =
          test::describe(streams[i], test::frame(streams[i], options.limits).cuts);
      std::erase_if(expected, [](const std::string& line) { return line.starts_with("R:"); });
      CAPTURE(streams[i]);
      CHECK(pieces_of(feeder.batches(connections[i])) == expected);
      CHECK(feeder.batches(connections[i]).back()->end == ConnectionEnd::finished);
    }
    CHECK(feeder.books.bytes_framing == 0);
    feeder.out.items.clear();
    feeder.slab.reset();
    CHECK(feeder.budget.bytes_used() == 0);
  }
}
