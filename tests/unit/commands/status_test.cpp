#include "commands/status.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "commands/books_page.h"
#include "common/admin/admin_server.h"

using namespace sluice;

namespace {

bool holds(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace

TEST_CASE("the_summary_shows_what_is_wrong_first") {
  Books books;
  books.events_framed = 12;
  books.bytes_received = 5 * kMiB;
  books.bytes_batched = 5 * kMiB;
  const nlohmann::json status{
      {"version", "1.2.3"},
      {"instance", "i1"},
      {"started_at", "2026-01-01T00:00:00.000Z"},
      {"ready", false},
      {"connections", 3},
      {"books", {{"xml", books_to_json(books)}}},
      {"conditions",
       {{{"name", "store.credentials"},
         {"severity", "not_ready"},
         {"message", "wrong secret"},
         {"since", "2026-01-01T00:00:01.000Z"}}}},
      {"queues", {{{"name", "frame"}, {"size", 2}, {"capacity", 256}}}},
      {"spool", {{"dir", "/spool"}, {"oldest_event_age_seconds", 150.5}}},
      {"memory", {{"ingest", {{"used", 1024}, {"peak", 2048}, {"max", 4096}}}}}};
  const std::string summary = status_summary(status);
  CHECK(summary.starts_with("sluice 1.2.3, instance i1, NOT READY, since 2026-01-01"));
  CHECK(holds(summary, "store.credentials: wrong secret"));
  CHECK(holds(summary, "12 events, 0 malformed, 5.0 MiB"));
  CHECK(holds(summary, "3 open"));
  CHECK(holds(summary, "oldest event not uploaded: 2 min"));
  CHECK(holds(summary, "frame 2/256"));
  CHECK(holds(summary, "ingest 1.0 KiB of 4.0 KiB (peak 2.0 KiB)"));
  CHECK_FALSE(holds(summary, "between two stages"));
  books.bytes_received += 7;
  const nlohmann::json busy{{"books", {{"xml", books_to_json(books)}}}};
  CHECK(holds(status_summary(busy), "between two stages: 7 bytes, 0 events"));
}

TEST_CASE("a_status_of_another_version_does_not_break_the_summary") {
  CHECK(status_summary(nlohmann::json::array()).empty());
  CHECK(holds(status_summary(nlohmann::json::object()), "NOT READY"));
  const nlohmann::json odd{{"version", 7},
                           {"books", {{"xml", "x"}}},
                           {"queues", {1, "two"}},
                           {"conditions", "none"},
                           {"spool", {{"oldest_event_age_seconds", "old"}}},
                           {"memory", nullptr}};
  CHECK(holds(status_summary(odd), "sluice"));
}

TEST_CASE("status_asks_the_server_and_fails_where_there_is_none") {
  Conditions conditions;
  Reports reports;
  reports.add_section("version", [] { return nlohmann::json("1"); });
  std::uint16_t port = 0;
  {
    auto server = AdminServer::start({"127.0.0.1", 0}, reports, conditions);
    REQUIRE(server);
    port = (*server)->port();
    Config config;
    config.admin_port = port;
    CHECK(status_command(config, {true}) == 0);
    CHECK(status_command(config, {false}) == 0);
  }
  Config config;
  config.admin_port = port;
  CHECK(status_command(config, {}) == 1);
  config.admin_port = 0;
  CHECK(status_command(config, {}) == 1);
}
