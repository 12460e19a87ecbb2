#include "commands/audit.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <optional>
#include <utility>
#include <vector>

#include "commands/credentials_of.h"
#include "commands/exit_code.h"
#include "commands/store_of.h"
#include "common/config/stream_config.h"
#include "common/platform/posix_filesystem.h"
#include "common/s3/object_key.h"
#include "common/s3/store_wait.h"
#include "common/spool/segment_catalog.h"
#include "common/spool/segment_files.h"
#include "common/spool/segment_state.h"
#include "common/spool/spool_format_file.h"

namespace sluice {
namespace {

// A page that takes longer, with all its tries, is given up.
constexpr auto kPageDeadline = std::chrono::seconds(120);
constexpr auto kPause = std::chrono::seconds(1);
constexpr int kTriesMax = 5;

// Whether the same request may be answered otherwise now.
bool worth_repeating(ObjectStore& store, const StoreError& error) {
  return error.kind == StoreErrorKind::retry || error.kind == StoreErrorKind::clock_skew ||
         (error.kind == StoreErrorKind::refresh_credentials && store.refresh_credentials());
}

Result<ObjectPage> list_page(ObjectStore& store, const ListRequest& request) {
  const MonotonicTime until = std::chrono::steady_clock::now() + kPageDeadline;
  for (int tries = 1;; ++tries) {
    auto page = wait_for<ObjectPage>(store, until,
                                     [&](auto done) { store.list(request, std::move(done)); });
    if (page.ok()) {
      return std::move(page.value);
    }
    const MonotonicTime resume = std::chrono::steady_clock::now() + kPause;
    if (tries == kTriesMax || resume >= until || !worth_repeating(store, *page.error)) {
      return fatal(describe(*page.error));
    }
    while (std::chrono::steady_clock::now() < resume) {
      store.poll(resume);
    }
  }
}

Status list_all(ObjectStore& store, const std::string& prefix, Auditor& auditor) {
  ListRequest request{.prefix = prefix};
  for (;;) {
    auto page = list_page(store, request);
    if (!page) {
      return fatal("\"" + prefix + "\" in " + store.describe() + " cannot be listed: " +
                   page.error().message + " The identity needs s3:ListBucket.");
    }
    for (const ListedObject& object : page->objects) {
      auditor.add_object(object);
    }
    if (page->continuation.empty()) {
      return {};
    }
    if (page->continuation == request.continuation) {
      return fatal("the listing of \"" + prefix + "\" in " + store.describe() +
                   " does not move on: a page ends where it began");
    }
    request.continuation = page->continuation;
  }
}

// All that objects go to, but for those that are part of another one.
std::vector<std::string> prefixes_to_list(const Config& config) {
  std::vector<std::string> all{config.quarantine_prefix};
  for (const StreamConfig& stream : stream_configs(config)) {
    all.push_back(stream.prefix);
  }
  std::sort(all.begin(), all.end());  // one comes before those that it is the beginning of
  std::vector<std::string> prefixes;
  for (std::string& prefix : all) {
    if (prefixes.empty() || !prefix.starts_with(prefixes.back())) {
      prefixes.push_back(std::move(prefix));
    }
  }
  return prefixes;
}

// Before the ledger is read: what is uploaded meanwhile is in both, and waits no more.
Status add_spool(Filesystem& filesystem, const Path& spool, Auditor& auditor) {
  for (const char* const folder : {"xml", "logs", "quarantine"}) {
    const Path directory = spool / folder;
    const bool set_aside = folder == std::string_view("quarantine");
    auto listing = list_segments(filesystem, directory);
    if (!listing && listing.error().code == ENOENT) {
      continue;
    }
    if (!listing) {
      return listing.status();
    }
    for (const auto& entry : listing->segments) {
      const auto state = inspect_segment(filesystem, directory, entry.id);
      if (!state && state.error().code == ENOENT) {
        continue;
      }
      if (!state) {
        return state.status();
      }
      // What is kept for its damage alone is delivered, also when its lines have expired.
      if (state->kind != SegmentState::Kind::empty &&
          !(set_aside && read_set_aside(filesystem, directory, entry.id).delivered)) {
        auditor.add_segment({entry.id, state->seal.summary.pieces(), set_aside});
      }
    }
  }
  return {};
}

int fail(int exit_code, const std::string& message) {
  std::fprintf(stderr, "sluice audit: %s\n", message.c_str());
  return exit_code;
}

int print(const AuditReport& report) {
  for (const AuditFinding& finding : report.findings) {
    std::printf("%-10s %s: %s\n", std::string(to_string(finding.kind)).c_str(),
                finding.subject.c_str(), finding.detail.c_str());
  }
  if (report.elsewhere > 0) {
    std::printf("%s\n",
                fmt::format("{} objects under another PREFIX were not looked at", report.elsewhere)
                    .c_str());
  }
  std::map<AuditFinding::Kind, std::size_t> counts;
  for (const AuditFinding& finding : report.findings) {
    counts[finding.kind] += 1;
  }
  using Kind = AuditFinding::Kind;
  std::printf(
      "%s\n",
      fmt::format("{} objects there as the ledger says, {} bytes, {} events; {} lost, {} changed, "
                  "{} doubled, {} segments incomplete; {} more of this instance without a line; "
                  "in the spool {} segments with {} events not uploaded yet, {} set aside",
                  report.objects, report.bytes, report.events, counts[Kind::lost],
                  counts[Kind::changed], counts[Kind::doubled], counts[Kind::incomplete],
                  report.unlisted, report.waiting, report.waiting_pieces, counts[Kind::set_aside])
          .c_str());
  return report.findings.empty() ? kExitClean : kExitFailed;
}

}  // namespace

std::string_view to_string(AuditFinding::Kind kind) {
  switch (kind) {
    case AuditFinding::Kind::lost:
      return "lost";
    case AuditFinding::Kind::changed:
      return "changed";
    case AuditFinding::Kind::doubled:
      return "doubled";
    case AuditFinding::Kind::incomplete:
      return "incomplete";
    case AuditFinding::Kind::set_aside:
      return "set aside";
  }
  return "unknown";
}

void Auditor::add_line(const LedgerEntry& entry) {
  // A crash between line and unlink gives a second line of the same object.
  const auto [known, is_new] = known_.insert_or_assign(entry.key, Known{.segment = entry.segment,
                                                                        .object = entry.object,
                                                                        .bytes = entry.bytes,
                                                                        .etag = entry.etag,
                                                                        .events = entry.events});
  if (!is_new) {
    return;
  }
  keys_[{entry.segment, entry.object}].push_back(entry.key);
  SegmentSum& sum = segments_[entry.segment];
  sum.pieces = entry.last_sequence - entry.first_sequence + 1;
  sum.events += entry.events;
  sum.has_data = sum.has_data || entry.object != "reasons";
  sum.is_raw = sum.is_raw || entry.object == "segment";
}

void Auditor::add_object(const ListedObject& object) {
  const auto found = known_.find(object.key);
  if (found == known_.end()) {
    const auto name = parse_object_key(object.key);
    if (name && (name->instance == instance_ || segments_.contains(name->segment))) {
      unlisted_ += 1;
      keys_[{name->segment, std::string(name->object)}].push_back(object.key);
    }
    return;
  }
  Known& known = found->second;
  known.found = true;
  if (object.bytes != known.bytes) {
    known.difference =
        fmt::format("{} bytes in the store, {} in the ledger", object.bytes, known.bytes);
  } else if (!object.etag.empty() && !known.etag.empty() && object.etag != known.etag) {
    known.difference =
        fmt::format("ETag {} in the store, {} in the ledger", object.etag, known.etag);
  }
}

bool Auditor::is_listed(std::string_view key) const {
  return std::any_of(prefixes_.begin(), prefixes_.end(),
                     [key](const std::string& prefix) { return key.starts_with(prefix); });
}

AuditReport Auditor::report() const {
  using Kind = AuditFinding::Kind;
  AuditReport report;
  report.unlisted = unlisted_;
  for (const auto& [key, known] : known_) {
    if (!is_listed(key)) {
      report.elsewhere += 1;
    } else if (!known.found) {
      report.findings.push_back({Kind::lost, key,
                                 fmt::format("{} events, segment {}; the store does not list it",
                                             known.events, to_string(known.segment))});
    } else if (!known.difference.empty()) {
      report.findings.push_back({Kind::changed, key, known.difference});
    } else {
      report.objects += 1;
      report.bytes += known.bytes;
      report.events += known.events;
    }
  }
  for (const auto& [name, keys] : keys_) {
    for (std::size_t i = 1; i < keys.size(); ++i) {
      report.findings.push_back(
          {Kind::doubled, keys[i],
           "the same events as " + keys[0] + ", segment " + to_string(name.first)});
    }
  }
  for (const auto& [segment, sum] : segments_) {
    if (sum.has_data && !sum.is_raw && sum.events != sum.pieces) {
      report.findings.push_back(
          {Kind::incomplete, to_string(segment),
           fmt::format("{} events in its objects, {} in the segment", sum.events, sum.pieces)});
    }
  }
  for (const SpooledSegment& segment : spooled_) {
    if (segments_.contains(segment.id)) {
      continue;  // confirmed and not unlinked yet, or what is damaged of it
    }
    if (segment.set_aside && keys_.contains({segment.id, "segment"})) {
      continue;  // stored as it is; its line has expired
    }
    if (segment.set_aside) {
      report.findings.push_back(
          {Kind::set_aside, to_string(segment.id),
           fmt::format("{} events in SPOOL_DIR/quarantine and nowhere else; its .why.json says why",
                       segment.pieces)});
    } else {
      report.waiting += 1;
      report.waiting_pieces += segment.pieces;
    }
  }
  return report;
}

int audit_command(const Config& config) {
  PosixFilesystem filesystem;
  SystemClock clock;
  const auto format = read_spool_format(filesystem, config.spool_dir);
  if (!format) {
    return fail(kExitSpool, format.error().message);
  }
  const std::vector<std::string> prefixes = prefixes_to_list(config);
  Auditor auditor(config.instance_id.empty() ? format->instance : config.instance_id, prefixes);
  if (const Status added = add_spool(filesystem, config.spool_dir, auditor); !added) {
    return fail(kExitSpool,
                "SPOOL_DIR=" + config.spool_dir + " cannot be read: " + added.error().message);
  }
  if (const Status read = read_ledger(filesystem, config.spool_dir,
                                      [&auditor](const LedgerEntry& entry) {
                                        auditor.add_line(entry);
                                        return true;
                                      });
      !read) {
    return fail(kExitSpool, "the ledger in SPOOL_DIR=" + config.spool_dir +
                                " cannot be read: " + read.error().message);
  }
  std::optional<ConfiguredCredentials> credentials;
  if (config.uses_s3()) {
    credentials.emplace(config, ConfiguredCredentials::Outside{filesystem, clock});
    credentials->start();
  }
  auto store = store_of(config, "audit",
                        {.filesystem = filesystem,
                         .clock = clock,
                         .credentials = credentials ? &credentials->provider() : nullptr});
  if (!store) {
    return fail(kExitConfiguration, store.error().message);
  }
  for (const std::string& prefix : prefixes) {
    if (const Status listed = list_all(**store, prefix, auditor); !listed) {
      return fail(kExitFailed, listed.error().message);
    }
  }
  return print(auditor.report());
}

}  // namespace sluice
