// What the server says of itself: /status, /metrics, and the totals of its last line.
#include <algorithm>

#include "commands/books_page.h"
#include "commands/server.h"
#include "commands/server_reports.h"
#include "common/base/utc_text.h"
#include "common/log/log.h"

namespace sluice {

void Server::log_totals(std::string_view event) const {
  std::uint64_t difference = 0;
  std::uint64_t connections = total(&Books::connections_opened);
  std::uint64_t bytes = total(&Books::bytes_received);
  if (rpc_ != nullptr) {
    difference = difference_at_end(rpc_->books());
    connections += rpc_->books().connections_opened.load();
    bytes += rpc_->books().bytes_received.load();
  }
  for (const auto& stream : streams_) {
    difference += difference_at_end(stream->books());
  }
  log::info(event, {{"connections", connections},
                    {"bytes", bytes},
                    {"events", total(&Books::events_framed)},
                    {"malformed", total(&Books::malformed_framed)},
                    {"uploaded", total(&Books::events_uploaded)},
                    {"quarantined", total(&Books::pieces_quarantined)},
                    {"objects", total(&Books::objects_uploaded)},
                    {"in_spool", total(&Books::pieces_in_spool)},
                    {"dropped_unacked", total(&Books::pieces_dropped_unacked)},
                    {"difference", difference}});
}

void Server::for_each_half(const std::function<void(const HalvesOf&)>& look) const {
  for (const auto& stream : streams_) {
    stream->with_halves(look);
  }
  if (rpc_ != nullptr) {
    look({rpc_->scope(), nullptr, nullptr, rpc_.get()});
  }
}

void Server::add_reports() {
  using nlohmann::json;
  reports_.add_section("version", [] { return json(SLUICE_VERSION); });
  reports_.add_section("instance", [this] { return json(instance_); });
  reports_.add_section("started_at", [this] { return json(utc_seconds(started_at_)); });
  reports_.add_section("ready", [this] { return json(conditions_.ready()); });
  reports_.add_section("conditions", [this] { return conditions_to_json(conditions_); });
  reports_.add_section("connections", [this] {
    std::uint64_t connections = 0;
    for (const Listener* listener : listeners()) {
      connections += listener->connections();
    }
    return json(connections);
  });
  reports_.add_section("books", [this] {
    json books = json::object();
    for (const auto& stream : streams_) {
      books[std::string(to_string(stream->config().stream))] = books_to_json(stream->books());
    }
    if (rpc_ != nullptr) {
      books["rpc"] = books_to_json(rpc_->books());
    }
    return books;
  });
  reports_.add_section("spool", [this] {
    json spool{
        {"dir", config_.spool_dir}, {"objects", objects()}, {"bytes_max", config_.spool_bytes_max}};
    double oldest = 0;
    for (const auto& stream : streams_) {
      oldest = std::max(oldest, stream->oldest_event_age_seconds());
      spool["streams"][std::string(to_string(stream->config().stream))] = stream->spool_report();
    }
    spool["oldest_event_age_seconds"] = oldest;
    return spool;
  });
  reports_.add_section("credentials", [this] {
    return credentials_ ? credentials_to_json(credentials_->provider().report()) : json();
  });
  reports_.add_section("memory", [this] {
    json memory = json::object();
    for_each_half([&](const HalvesOf& halves) { memory.update(memory_to_json(halves)); });
    return memory;
  });
  const auto joined = [this](json (*of)(const HalvesOf&)) {
    json all = json::array();
    for_each_half([&](const HalvesOf& halves) {
      for (json& one : of(halves)) {
        all.push_back(std::move(one));
      }
    });
    return all;
  };
  reports_.add_section("queues", [joined] { return joined(queues_to_json); });
  reports_.add_section("threads", [joined] { return joined(threads_to_json); });
  reports_.add_metrics([this](MetricsPage& page) { add_metrics(page); });
}

void Server::add_metrics(MetricsPage& page) const {
  for (const auto& stream : streams_) {
    const Stream name = stream->config().stream;
    add_books_metrics(stream->books(), to_string(name), page);
    page.gauge("sluice_oldest_event_age_seconds", "age of the oldest event not uploaded",
               {{"stream", std::string(to_string(name))}}, stream->oldest_event_age_seconds());
  }
  for_each_half([&](const HalvesOf& halves) { add_half_metrics(page, halves); });
  for (const Listener* listener : listeners()) {
    const MetricsPage::Labels labels{{"listener", std::string(to_string(listener->protocol()))}};
    page.gauge("sluice_connections", "open connections", labels,
               static_cast<double>(listener->connections()));
    if (const auto ends_at = listener->certificate_ends_at()) {
      page.gauge("sluice_tls_certificate_expires_timestamp_seconds",
                 "Unix time at which the listener's certificate (TLS_CERT) ends", labels,
                 std::chrono::duration<double>(ends_at->time_since_epoch()).count());
    }
  }
  if (rpc_ != nullptr) {
    add_books_metrics(rpc_->books(), "rpc", page);
  }
  if (credentials_) {
    add_credential_metrics(page, credentials_->provider().report());
  }
  page.gauge("sluice_ready", "1 where no condition stands in the way", {},
             conditions_.ready() ? 1 : 0);
}

}  // namespace sluice
