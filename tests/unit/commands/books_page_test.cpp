#include "commands/books_page.h"

#include <doctest/doctest.h>

#include "commands/server_reports.h"
#include "spool_rig.h"

using namespace sluice;

TEST_CASE("books_that_balance_have_no_difference") {
  Books books;
  books.bytes_received = 110;
  books.bytes_batched = 70;
  books.bytes_framing = 20;
  books.bytes_separators = 7;
  books.bytes_refused = 3;
  books.bytes_answered = 10;
  books.pieces_found_at_start = 5;
  books.events_durable = 10;
  books.malformed_durable = 2;
  books.events_uploaded = 9;
  books.pieces_quarantined = 3;
  books.pieces_in_spool = 3;
  books.pieces_set_aside = 1;
  books.pieces_lost_to_damage = 1;
  CHECK(books_to_json(books)["difference"] == 0);
  books.bytes_received += 4;
  books.events_uploaded += 2;
  const auto json = books_to_json(books);
  CHECK(json["difference_bytes"] == 4);
  CHECK(json["difference_pieces"] == -2);
  CHECK(json["difference"] == 6);
}

TEST_CASE("at_the_end_what_was_framed_is_durable_or_was_dropped") {
  Books books;
  books.bytes_received = 100;
  books.bytes_batched = 100;
  books.events_framed = 9;
  books.malformed_framed = 1;
  books.bytes_in_records = 70;
  books.events_durable = 6;
  books.malformed_durable = 1;
  books.pieces_in_spool = 7;
  books.bytes_dropped_unacked = 30;
  books.pieces_dropped_unacked = 3;
  CHECK(difference_at_end(books) == 0);
  books.bytes_dropped_unacked -= 5;
  CHECK(difference_at_end(books) == 5);
  books.pieces_dropped_unacked += 2;
  CHECK(difference_at_end(books) == 7);
  books.pieces_in_spool += 10;  // and what differs at any time
  books.bytes_separators += 20;
  CHECK(difference_at_end(books) == 37);
}

TEST_CASE("what_was_unlinked_and_not_told_is_not_in_the_spool_when_the_books_are_closed") {
  SpoolWorld world;
  SpoolRig rig(world);
  REQUIRE(rig.failure.empty());
  const auto connection = rig.connect();
  REQUIRE(rig.give(rig.batch(connection, {"<EVENT/>", "<EVENT/>"})));
  REQUIRE(rig.give(SealNow{}));
  while (rig.blocks.items.empty()) {
    while (auto input = rig.to_rotate.try_pop()) {
      REQUIRE(rig.rotator->process(std::move(*input), rig.blocks));
    }
    REQUIRE(rig.rotator->on_idle(rig.blocks));
  }
  CHECK(rig.books.pieces_in_spool == 2);
  close_books(*rig.stream, rig.books);
  CHECK(rig.books.pieces_in_spool == 2);
  for (Block& block : rig.blocks.items) {
    rig.store(std::move(block));
  }
  CHECK(rig.difference() == -2);
  close_books(*rig.stream, rig.books);
  CHECK(rig.difference() == 0);
  CHECK(rig.books.pieces_in_spool == 0);
}

TEST_CASE("every_counter_is_in_the_books_and_in_the_metrics") {
  Books books;
  books.events_uploaded = 12;
  books.pieces_in_spool = 3;
  const auto json = books_to_json(books);
  CHECK(json["events_uploaded"] == 12);
  CHECK(json.size() == sizeof(Books) / sizeof(Books::Counter) + 3);
  MetricsPage page;
  add_books_metrics(books, "xml", page);
  const std::string text = page.text();
  CHECK(text.find("\nsluice_events_uploaded_total{stream=\"xml\"} 12\n") != std::string::npos);
  CHECK(text.find("\nsluice_pieces_in_spool{stream=\"xml\"} 3\n") != std::string::npos);
  CHECK(text.find("# TYPE sluice_pieces_in_spool gauge\n") != std::string::npos);
}

TEST_CASE("conditions_are_shown_with_their_severity_and_since_when") {
  Conditions conditions;
  conditions.raise("store.credentials", Conditions::Severity::not_ready, "wrong secret");
  const auto json = conditions_to_json(conditions);
  REQUIRE(json.size() == 1);
  CHECK(json[0]["name"] == "store.credentials");
  CHECK(json[0]["severity"] == "not_ready");
  CHECK(json[0]["message"] == "wrong secret");
  CHECK(json[0]["since"].get<std::string>().ends_with("Z"));
}
