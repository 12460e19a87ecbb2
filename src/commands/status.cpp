#include "commands/status.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "commands/exit_code.h"
#include "common/http/http_send.h"

namespace sluice {

namespace {

using nlohmann::json;

constexpr auto kAnswerTime = std::chrono::seconds(10);

std::uint64_t number(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_number() ? found->get<std::uint64_t>() : 0;
}

std::uint64_t magnitude(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_number_integer()
             ? static_cast<std::uint64_t>(std::abs(found->get<std::int64_t>()))
             : 0;
}

std::string text(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

// The member, or an empty object.
json part(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() ? *found : json::object();
}

std::string size_text(std::uint64_t bytes) {
  constexpr const char* kUnits[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(kUnits)) {
    value /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} bytes", bytes) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string age_text(double seconds) {
  const auto whole = static_cast<std::uint64_t>(seconds);
  if (whole < 120) {
    return fmt::format("{} s", whole);
  }
  if (whole < 7200) {
    return fmt::format("{} min", whole / 60);
  }
  return fmt::format("{} h {} min", whole / 3600, whole / 60 % 60);
}

std::string line(std::string_view title, const std::string& rest) {
  return fmt::format("{:<12} {}\n", title, rest);
}

std::string stream_lines(const std::string& stream, const json& books) {
  std::string lines;
  lines += line(
      stream + " in",
      fmt::format("{} events, {} malformed, {}", number(books, "events_framed"),
                  number(books, "malformed_framed"), size_text(number(books, "bytes_received"))));
  lines += line(stream + " out",
                fmt::format("{} events in {} objects, {} quarantined, {} retries",
                            number(books, "events_uploaded"), number(books, "objects_uploaded"),
                            number(books, "pieces_quarantined"), number(books, "upload_retries")));
  lines +=
      line("", fmt::format("{} events in the spool, {} segments, {} on disk",
                           number(books, "pieces_in_spool"), number(books, "segments_in_spool"),
                           size_text(number(books, "bytes_on_disk"))));
  if (number(books, "pieces_set_aside") != 0) {
    lines += line("", fmt::format("{} events set aside in the spool's quarantine",
                                  number(books, "pieces_set_aside")));
  }
  if (number(books, "difference") != 0) {
    lines += line("", fmt::format("between two stages: {} bytes, {} events (0 at rest)",
                                  magnitude(books, "difference_bytes"),
                                  magnitude(books, "difference_pieces")));
  }
  return lines;
}

std::string memory_text(const json& half) {
  return fmt::format("{} of {} (peak {})", size_text(number(half, "used")),
                     size_text(number(half, "max")), size_text(number(half, "peak")));
}

std::string full_queues(const json& queues) {
  std::string text_of_queues;
  for (const json& queue : queues) {
    if (!queue.is_object() || number(queue, "size") == 0) {
      continue;
    }
    text_of_queues +=
        fmt::format("{}{} {}/{}", text_of_queues.empty() ? "" : ", ", text(queue, "name"),
                    number(queue, "size"), number(queue, "capacity"));
  }
  return text_of_queues.empty() ? "all empty" : text_of_queues;
}

std::string condition_lines(const json& conditions) {
  std::string lines;
  for (const json& condition : conditions) {
    if (condition.is_object()) {
      lines += line(text(condition, "severity") == "not_ready" ? "NOT READY" : "ALARM",
                    fmt::format("{}: {} (since {})", text(condition, "name"),
                                text(condition, "message"), text(condition, "since")));
    }
  }
  return lines;
}

// Where the server answers on this machine.
std::string status_url(const Config& config) {
  std::string host = config.admin_host;
  if (host == "0.0.0.0") {
    host = "127.0.0.1";
  } else if (host == "::" || host == "[::]") {
    host = "[::1]";
  } else if (host.find(':') != std::string::npos && !host.starts_with('[')) {
    host = "[" + host + "]";
  }
  return fmt::format("http://{}:{}/status", host, config.admin_port);
}

}  // namespace

std::string status_summary(const json& status) {
  if (!status.is_object()) {
    return "";
  }
  const auto ready = status.find("ready");
  std::string summary = fmt::format(
      "sluice {}, instance {}, {}, since {}\n", text(status, "version"), text(status, "instance"),
      ready != status.end() && *ready == true ? "ready" : "NOT READY", text(status, "started_at"));
  summary += condition_lines(part(status, "conditions"));
  summary += line("connections", fmt::format("{} open", number(status, "connections")));
  const json all_books = part(status, "books");
  for (const auto& [stream, books] : all_books.items()) {
    summary += stream_lines(stream, books);
  }
  const json spool = part(status, "spool");
  const auto oldest = spool.find("oldest_event_age_seconds");
  summary += line("spool", text(spool, "dir"));
  if (oldest != spool.end() && oldest->is_number() && oldest->get<double>() > 0) {
    summary +=
        line("", fmt::format("oldest event not uploaded: {}", age_text(oldest->get<double>())));
  }
  const json memory = part(status, "memory");
  std::string shares;
  for (const auto& [half, share] : memory.items()) {
    shares += fmt::format("{}{} {}", shares.empty() ? "" : "; ", half, memory_text(share));
  }
  summary += line("memory", shares);
  summary += line("queues", full_queues(part(status, "queues")));
  return summary;
}

int status_command(const Config& config, const StatusOptions& options) {
  if (config.admin_port == 0) {
    std::fputs(
        "sluice status: ADMIN_PORT is 0: set it to the port in the line \"server started\"\n",
        stderr);
    return kExitFailed;
  }
  HttpRequest get{.url = status_url(config)};
  get.limits.connect_timeout = kAnswerTime;
  get.limits.deadline = kAnswerTime;
  const auto answer = http_send(get, {}, {});
  if (!answer || answer->status != 200) {
    std::fprintf(stderr,
                 "sluice status: no server answers on %s (%s); is it running, and are ADMIN_HOST "
                 "and ADMIN_PORT set as they were set there?\n",
                 get.url.c_str(),
                 answer ? ("status " + std::to_string(answer->status)).c_str()
                        : answer.error().message.c_str());
    return kExitFailed;
  }
  if (options.json) {
    std::fputs(answer->body.c_str(), stdout);
    return kExitClean;
  }
  const json status = json::parse(answer->body, nullptr, false);
  if (!status.is_object()) {
    std::fprintf(stderr, "sluice status: what answers on %s is not Sluice\n", get.url.c_str());
    return kExitFailed;
  }
  std::fputs(status_summary(status).c_str(), stdout);
  return kExitClean;
}

}  // namespace sluice
