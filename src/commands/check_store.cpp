#include "commands/check_store.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "commands/credentials_of.h"
#include "commands/store_of.h"
#include "common/base/utc_text.h"
#include "common/config/stream_config.h"
#include "common/http/http_send.h"
#include "common/s3/s3_answers.h"

namespace sluice {
namespace {

using Verdict = CheckLine::Verdict;

constexpr std::chrono::hours kCertificateWarning{14 * 24};
// A signature is refused at 15 minutes; an answer's Date counts in seconds.
constexpr std::chrono::seconds kClockWarning{30};

double milliseconds(std::chrono::microseconds time) {
  return static_cast<double>(time.count()) / 1000;
}

bool is_failure(const CheckLine& line) { return line.verdict == Verdict::failure; }

// By what the URL says: the address may be that of a proxy on this machine.
bool on_this_machine(const std::string& url) {
  return url.starts_with("http://127.") || url.starts_with("http://[::1]") ||
         url.starts_with("http://localhost");
}

CheckLine judge_tls(const HttpConnection& connection, const std::string& url, WallTime now) {
  if (!url.starts_with("https://")) {
    if (on_this_machine(url)) {
      return {Verdict::ok, "tls", "none, and none needed: " + url + " is on this machine"};
    }
    return {Verdict::warning, "tls",
            "none: who is on the way can read the events. Use https in AWS_ENDPOINT_URL"};
  }
  std::string text = fmt::format("handshake in {:.1f} ms",
                                 milliseconds(connection.secured - connection.connected));
  const auto& end = connection.certificate_expires_at;
  if (!end) {
    return {Verdict::ok, "tls", text + ", certificate accepted"};
  }
  text += ", certificate accepted until " + utc_seconds(*end);
  if (*end - now < kCertificateWarning) {
    return {Verdict::warning, "tls", text + ": have it renewed before that"};
  }
  return {Verdict::ok, "tls", text};
}

// Where the way ends.
const char* subject_of(HttpError::Kind kind) {
  switch (kind) {
    case HttpError::Kind::name:
      return "dns";
    case HttpError::Kind::certificate:
      return "tls";
    default:
      return "connection";
  }
}

std::vector<CheckLine> check_connection(const Config& config, const Clock& clock) {
  const auto endpoint = S3Endpoint::make(endpoint_of(config));
  if (!endpoint) {
    return {{Verdict::failure, "store", endpoint.error().message}};
  }
  HttpRequest request{.method = "HEAD", .url = endpoint->locate("").url};
  request.wants_connection = true;
  request.limits.connect_timeout = config.s3_connect_timeout;
  request.limits.deadline = config.s3_request_timeout;
  const auto outcome = http_exchange(std::move(request), http_options_of(config), {});
  const WallTime now = clock.wall_now();
  auto lines = judge_connection(outcome.value(), endpoint->base_url(), now);
  if (!outcome->error) {
    lines.push_back(judge_clock(parse_http_date(outcome->response.header("date")), now));
  }
  return lines;
}

CheckLine check_directory(const Config& config, const Path& above) {
  if (writable(above)) {
    return {Verdict::ok, "store", "OUTPUT_DIR=" + config.output_dir + " will be made at the start"};
  }
  return {Verdict::failure, "store",
          "OUTPUT_DIR=" + config.output_dir + " cannot be made: " + above.string() +
              " may not be written by this user"};
}

// Of all that is uploaded, and of what is rejected.
std::vector<std::string> object_prefixes(const Config& config) {
  std::vector<std::string> prefixes;
  for (const StreamConfig& stream : stream_configs(config)) {
    if (stream.upload) {
      prefixes.push_back(stream.prefix);
    }
  }
  if (!prefixes.empty()) {
    prefixes.push_back(config.quarantine_prefix);
  }
  return prefixes;
}

std::vector<CheckLine> check_objects(const Config& config, ObjectStore& store,
                                     const std::string& instance) {
  const auto probes = probe_store(store, {object_prefixes(config), instance});
  auto lines = judge_probes(probes, store.describe());
  if (config.uses_s3()) {
    StoreProbe in_parts{.prefixes = {}, .instance = instance};
    for (const PrefixProbe& probe : probes) {
      if (!probe.error) {
        in_parts.prefixes.push_back(probe.prefix);
      }
    }
    for (CheckLine& line : judge_multipart(probe_multipart(store, in_parts))) {
      lines.push_back(std::move(line));
    }
  }
  return lines;
}

}  // namespace

std::vector<CheckLine> check_store(const Config& config, Filesystem& filesystem) {
  if (object_prefixes(config).empty()) {
    return {};  // nothing is uploaded
  }
  if (!config.uses_s3() && !filesystem.info(config.output_dir)) {
    return {check_directory(config, nearest_existing(filesystem, config.output_dir))};
  }
  const SystemClock clock;
  std::optional<ConfiguredCredentials> credentials;
  std::vector<CheckLine> lines;
  const auto add = [&lines](std::vector<CheckLine> more) {
    const bool failed = std::any_of(more.begin(), more.end(), is_failure);
    std::move(more.begin(), more.end(), std::back_inserter(lines));
    return !failed;
  };
  if (config.uses_s3()) {
    credentials.emplace(config, ConfiguredCredentials::Outside{filesystem, clock});
    const bool connects = add(check_connection(config, clock));
    if (!add(judge_credentials(credentials->fetch())) || !connects) {
      return lines;
    }
    credentials->start();
  }
  // A name of our own: the temporary files of a running server are not ours.
  const std::string instance = "check-" + std::to_string(::getpid());
  auto store = store_of(config, instance,
                        {.filesystem = filesystem,
                         .clock = clock,
                         .credentials = credentials ? &credentials->provider() : nullptr});
  if (!store) {
    lines.push_back({Verdict::failure, "store", store.error().message});
    return lines;
  }
  add(check_objects(config, **store, instance));
  return lines;
}

std::vector<CheckLine> judge_connection(const HttpOutcome& outcome, const std::string& url,
                                        WallTime now) {
  if (outcome.error) {
    return {{Verdict::failure, subject_of(outcome.error->kind),
             describe(transport_error(*outcome.error, url))}};
  }
  const HttpConnection connection = outcome.response.connection.value_or(HttpConnection{});
  return {{Verdict::ok, "dns",
           fmt::format("{} in {:.1f} ms", connection.address, milliseconds(connection.resolved))},
          judge_tls(connection, url, now),
          {Verdict::ok, "connection",
           fmt::format("{}: connected in {:.1f} ms, answered {:.1f} ms later", url,
                       milliseconds(connection.connected - connection.resolved),
                       milliseconds(connection.answered - connection.secured))}};
}

CheckLine judge_clock(std::optional<WallTime> date, WallTime now) {
  if (!date) {
    return {Verdict::warning, "clock", "the store's answer has no Date: nothing to compare with"};
  }
  const auto ahead = std::chrono::floor<std::chrono::seconds>(now) -
                     std::chrono::floor<std::chrono::seconds>(*date);
  const std::string text = fmt::format("{} s {} the store's", std::chrono::abs(ahead).count(),
                                       ahead.count() < 0 ? "behind" : "ahead of");
  if (std::chrono::abs(ahead) > kClockWarning) {
    return {Verdict::warning, "clock",
            text +
                ": signatures correct for it, the times in keys and records do not. Set this "
                "machine's clock (NTP)"};
  }
  return {Verdict::ok, "clock", text};
}

std::vector<CheckLine> judge_credentials(const CredentialReport& report) {
  if (report.origin && report.error.empty()) {
    return {{Verdict::ok, "credentials", describe(*report.origin)}};
  }
  std::vector<CheckLine> lines;
  for (const TriedLink& link : report.tried) {
    if (link.configured) {
      lines.push_back({Verdict::failure, "credentials", link.name + ": " + link.reason});
    } else {
      lines.push_back(
          {Verdict::warning, "credentials", "not from " + link.name + ": " + link.reason});
    }
  }
  if (lines.empty() || lines.back().verdict != Verdict::failure) {
    lines.push_back({Verdict::failure, "credentials",
                     "nothing gives any: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a "
                     "profile, or a role for this machine"});
  }
  return lines;
}

std::vector<CheckLine> judge_probes(const std::vector<PrefixProbe>& probes,
                                    const std::string& store) {
  std::vector<CheckLine> lines;
  for (const PrefixProbe& probe : probes) {
    const std::string where = "prefix \"" + probe.prefix + "\" in " + store;
    if (probe.error) {
      lines.push_back({Verdict::failure, "store", where + ": " + describe(*probe.error)});
    } else if (probe.remove_error) {
      lines.push_back({Verdict::ok, "store",
                       where + " takes objects (the probe stays there: removing it is not "
                               "permitted, and not needed)"});
    } else {
      lines.push_back({Verdict::ok, "store", where + " takes objects"});
    }
  }
  if (std::any_of(probes.begin(), probes.end(),
                  [](const PrefixProbe& probe) { return probe.unconditional; })) {
    lines.push_back({Verdict::warning, "store", store + " " + kUnconditional});
  }
  return lines;
}

std::vector<CheckLine> judge_multipart(const std::vector<MultipartProbe>& probes) {
  std::vector<CheckLine> lines;
  for (const MultipartProbe& probe : probes) {
    const std::string where = "prefix \"" + probe.prefix + "\"";
    if (probe.error) {
      lines.push_back({Verdict::failure, "multipart",
                       where + " takes no object in parts: " + describe(*probe.error)});
    } else {
      lines.push_back({Verdict::ok, "multipart", where + " takes objects in parts"});
    }
    if (probe.abort_error) {
      lines.push_back({Verdict::warning, "multipart",
                       where + ": an upload cannot be given up, and what was sent of it stays: " +
                           describe(*probe.abort_error) +
                           " A lifecycle rule that aborts incomplete uploads helps too."});
    }
    if (probe.list_error) {
      lines.push_back({Verdict::warning, "multipart",
                       where + ": uploads that a killed server left cannot be found: " +
                           describe(*probe.list_error) +
                           " A lifecycle rule that aborts incomplete uploads helps too."});
    }
  }
  return lines;
}

}  // namespace sluice
