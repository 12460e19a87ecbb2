#include "commands/books_page.h"

#include <array>
#include <cstdlib>
#include <string_view>

#include "common/log/log_format.h"

namespace sluice {

namespace {

struct BookEntry {
  std::string_view name;
  Books::Counter Books::*member;
  std::string_view help;
  bool gauge = false;
};

constexpr std::array kEntries{
    BookEntry{"connections_opened", &Books::connections_opened, "Connections accepted."},
    BookEntry{"connections_closed", &Books::connections_closed, "Connections that ended."},
    BookEntry{"connections_refused", &Books::connections_refused,
              "Connections closed at once, by a limit."},
    BookEntry{"bytes_received", &Books::bytes_received, "Bytes read from sockets."},
    BookEntry{"bytes_transport", &Books::bytes_transport,
              "Bytes read that are no stream's: PROXY headers and tokens."},
    BookEntry{"bytes_framing", &Books::bytes_framing, "Bytes of pieces begun and not ended.", true},
    BookEntry{"bytes_separators", &Books::bytes_separators,
              "Bytes between documents and outside any record."},
    BookEntry{"bytes_refused", &Books::bytes_refused,
              "Bytes not kept: over-long events past their sample, streams that are no XML, no "
              "rpc requests."},
    BookEntry{"bytes_batched", &Books::bytes_batched, "Bytes in the runs of batches."},
    BookEntry{"events_framed", &Books::events_framed, "Events cut from the stream."},
    BookEntry{"malformed_framed", &Books::malformed_framed, "Malformed runs cut from the stream."},
    BookEntry{"bytes_answered", &Books::bytes_answered,
              "Bytes of rpc requests that were answered."},
    BookEntry{"rpc_requests", &Books::rpc_requests, "RPC requests answered."},
    BookEntry{"rpc_malformed", &Books::rpc_malformed,
              "RPC requests that could not be read or were cut by the end of their connection."},
    BookEntry{"lines_filtered", &Books::lines_filtered,
              "Log lines below MIN_LOG_LEVEL, or of no known level."},
    BookEntry{"lines_invalid", &Books::lines_invalid,
              "Log lines answered with an error and not kept."},
    BookEntry{"lines_rate_limited", &Books::lines_rate_limited,
              "Log lines over the rate limit, not kept."},
    BookEntry{"batches_spooled", &Books::batches_spooled, "Batches written as records."},
    BookEntry{"bytes_in_records", &Books::bytes_in_records, "Durable bytes of events."},
    BookEntry{"events_durable", &Books::events_durable, "Events on disk and synced."},
    BookEntry{"malformed_durable", &Books::malformed_durable, "Malformed runs on disk and synced."},
    BookEntry{"bytes_dropped_unacked", &Books::bytes_dropped_unacked,
              "Bytes never acknowledged and not durable when the process had to end."},
    BookEntry{"pieces_dropped_unacked", &Books::pieces_dropped_unacked,
              "Events and malformed runs never acknowledged and not durable at the end."},
    BookEntry{"group_commits", &Books::group_commits, "fdatasync calls of the spool."},
    BookEntry{"sync_nanoseconds", &Books::sync_nanoseconds, "Time in those calls."},
    BookEntry{"segments_switched", &Books::segments_switched, "Segments finished."},
    BookEntry{"segments_abandoned", &Books::segments_abandoned,
              "Segments left after a failed write or sync."},
    BookEntry{"pieces_found_at_start", &Books::pieces_found_at_start,
              "Events and malformed runs in the spool when the process started."},
    BookEntry{"pieces_in_spool", &Books::pieces_in_spool, "Events and malformed runs in the spool.",
              true},
    BookEntry{"segments_in_spool", &Books::segments_in_spool,
              "Segments in the spool, without the one being written.", true},
    BookEntry{"bytes_on_disk", &Books::bytes_on_disk, "Bytes that the spool takes on disk.", true},
    BookEntry{"bytes_torn", &Books::bytes_torn, "Bytes of torn tails found at start."},
    BookEntry{"bytes_damaged", &Books::bytes_damaged, "Durable bytes that verify no more."},
    BookEntry{"pieces_lost_to_damage", &Books::pieces_lost_to_damage,
              "Sealed events and malformed runs whose record verifies no more."},
    BookEntry{"pieces_kept_locally", &Books::pieces_kept_locally,
              "Lines that are in the log file only, as LOGS_UPLOAD says."},
    BookEntry{"events_validated", &Books::events_validated, "Events found well-formed."},
    BookEntry{"events_rejected", &Books::events_rejected, "Events that the parser rejected."},
    BookEntry{"bytes_converted", &Books::bytes_converted, "Bytes of objects before compression."},
    BookEntry{"bytes_over_room", &Books::bytes_over_room,
              "Bytes that blocks took beyond the memory reserved for them."},
    BookEntry{"objects_uploaded", &Books::objects_uploaded, "Objects confirmed by the store."},
    BookEntry{"objects_found_done", &Books::objects_found_done,
              "Objects that the store held already."},
    BookEntry{"bytes_uploaded", &Books::bytes_uploaded, "Bytes of confirmed objects."},
    BookEntry{"events_uploaded", &Books::events_uploaded, "Events in confirmed objects."},
    BookEntry{"pieces_quarantined", &Books::pieces_quarantined,
              "Events and malformed runs in confirmed quarantine objects."},
    BookEntry{"segments_done", &Books::segments_done,
              "Segments unlinked after their objects were confirmed."},
    BookEntry{"pieces_set_aside", &Books::pieces_set_aside,
              "Events and malformed runs of segments moved to the spool's quarantine."},
    BookEntry{"upload_attempts", &Books::upload_attempts, "Requests that carry an object."},
    BookEntry{"upload_retries", &Books::upload_retries, "Requests made again."},
};
// A counter that is added to Books and forgotten here would be invisible.
static_assert(sizeof(Books) == kEntries.size() * sizeof(Books::Counter));

std::int64_t value_of(const Books::Counter& counter) {
  return static_cast<std::int64_t>(counter.load(std::memory_order_relaxed));
}

}  // namespace

BooksDifference difference_of(const Books& books) {
  return {value_of(books.bytes_received) -
              (value_of(books.bytes_batched) + value_of(books.bytes_framing) +
               value_of(books.bytes_separators) + value_of(books.bytes_refused) +
               value_of(books.bytes_answered) + value_of(books.bytes_transport)),
          value_of(books.pieces_found_at_start) + value_of(books.events_durable) +
              value_of(books.malformed_durable) -
              (value_of(books.events_uploaded) + value_of(books.pieces_quarantined) +
               value_of(books.pieces_in_spool) + value_of(books.pieces_set_aside) +
               value_of(books.pieces_lost_to_damage) + value_of(books.pieces_kept_locally))};
}

std::uint64_t difference_at_end(const Books& books) {
  const BooksDifference difference = difference_of(books);
  const std::int64_t bytes_on_the_way =
      value_of(books.bytes_batched) -
      (value_of(books.bytes_in_records) + value_of(books.bytes_dropped_unacked));
  const std::int64_t pieces_on_the_way =
      value_of(books.events_framed) + value_of(books.malformed_framed) -
      (value_of(books.events_durable) + value_of(books.malformed_durable) +
       value_of(books.pieces_dropped_unacked));
  return static_cast<std::uint64_t>(std::abs(difference.bytes) + std::abs(difference.pieces) +
                                    std::abs(bytes_on_the_way) + std::abs(pieces_on_the_way));
}

nlohmann::json books_to_json(const Books& books) {
  nlohmann::json json = nlohmann::json::object();
  for (const BookEntry& entry : kEntries) {
    json[std::string(entry.name)] = (books.*entry.member).load(std::memory_order_relaxed);
  }
  const BooksDifference difference = difference_of(books);
  json["difference"] = std::abs(difference.bytes) + std::abs(difference.pieces);
  json["difference_bytes"] = difference.bytes;
  json["difference_pieces"] = difference.pieces;
  return json;
}

void add_books_metrics(const Books& books, std::string_view name, MetricsPage& page) {
  const MetricsPage::Labels labels{{"stream", std::string(name)}};
  for (const BookEntry& entry : kEntries) {
    const auto value = static_cast<double>((books.*entry.member).load(std::memory_order_relaxed));
    const std::string metric = "sluice_" + std::string(entry.name);
    if (entry.gauge) {
      page.gauge(metric, entry.help, labels, value);
    } else {
      page.counter(metric + "_total", entry.help, labels, value);
    }
  }
  const BooksDifference difference = difference_of(books);
  page.gauge("sluice_books_difference_bytes", "Bytes by which the books do not balance.", labels,
             static_cast<double>(difference.bytes));
  page.gauge("sluice_books_difference_pieces",
             "Events and malformed runs by which the books do not balance.", labels,
             static_cast<double>(difference.pieces));
}

nlohmann::json conditions_to_json(const Conditions& conditions) {
  nlohmann::json all = nlohmann::json::array();
  for (const Conditions::Condition& condition : conditions.current()) {
    all.push_back({{"name", condition.name},
                   {"severity",
                    condition.severity == Conditions::Severity::not_ready ? "not_ready" : "alarm"},
                   {"message", condition.message},
                   {"since", log::timestamp_text(condition.since)}});
  }
  return all;
}

nlohmann::json threads_to_json(const Pipeline& pipeline, MonotonicTime now) {
  const auto now_ns =
      std::chrono::duration_cast<std::chrono::nanoseconds>(now.time_since_epoch()).count();
  nlohmann::json all = nlohmann::json::array();
  for (const auto& health : pipeline.threads()) {
    const std::int64_t beat_ns = health->heartbeat_ns.load(std::memory_order_relaxed);
    all.push_back({{"name", health->name},
                   {"heartbeat_age_ms", std::max<std::int64_t>(0, now_ns - beat_ns) / 1'000'000},
                   {"waiting", health->waiting.load(std::memory_order_relaxed)},
                   {"ended", health->ended.load(std::memory_order_relaxed)}});
  }
  return all;
}

}  // namespace sluice
