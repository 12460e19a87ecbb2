#include "commands/replay.h"

#include <fmt/format.h>
#include <unistd.h>

#include <iostream>
#include <limits>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include "commands/exit_code.h"
#include "commands/replay_file.h"
#include "commands/replay_known.h"
#include "commands/replay_source.h"
#include "commands/rotate.h"
#include "commands/server_reports.h"
#include "common/platform/posix_filesystem.h"
#include "common/spool/segment_files.h"
#include "common/spool/segment_origin.h"
#include "common/spool/segment_state.h"
#include "common/spool/spool_directory.h"
#include "common/spool/spool_format_file.h"

namespace sluice {
namespace {

constexpr std::uint64_t kWhyBytesMax = 64 * kKiB;
// A segment takes at most this part of the spool, as Spool has it.
constexpr std::uint64_t kSegmentShare = 8;

std::string count_text(std::uint64_t events, std::uint64_t malformed) {
  return fmt::format("{} events, {} malformed runs", events, malformed);
}

// What a `.why.json` says.
struct Why {
  std::string reason = "no .why.json says why";
  bool delivered = false;
};

Why why_of(Filesystem& filesystem, const Path& quarantine, const SegmentId& id) {
  Why why;
  auto content =
      read_file(filesystem, quarantine / ("seg-" + to_string(id) + ".why.json"), kWhyBytesMax);
  const auto in = content ? nlohmann::json::parse(*content, nullptr, false) : nlohmann::json();
  if (in.is_object() && in.contains("reason") && in["reason"].is_string()) {
    why.reason = in["reason"].get<std::string>();
  }
  why.delivered = in.is_object() && in.contains("delivered") && in["delivered"] == true;
  return why;
}

// One call of the command, once it is known that it may work.
class Replay {
 public:
  Replay(const Config& config, const ReplayOptions& options, const ReplayOutside& outside,
         KnownSegments known)
      : config_(config), options_(options), outside_(outside), known_(std::move(known)) {}

  // None in a dry run.
  void use(std::unique_ptr<SpoolDirectory> spool) { spool_ = std::move(spool); }
  int run();

 private:
  void replay_source(const ReplaySource& source);
  // The sentence that is printed. Rejected or fatal: why not.
  Result<std::string> replay_segment(const SegmentId& id);
  Result<std::string> end_of_return(const SegmentId& id);
  Result<std::string> replay_file(const ReplaySource& source);
  // Whether the spool knows it already, where that is no refusal.
  Result<bool> look_up(const ReplayFile& file, const ReplaySource& source);
  Result<bool> refuse_export(const ReplayFile& file);
  Status refuse_without_room(const ReplayFile::Counts& counts) const;
  Result<SegmentSummary> write_segment(const ReplayFile& file, const SegmentId& id,
                                       const ReplaySource& source);
  void note(ReplayNote note);
  Result<StreamDirectory*> stream(Stream stream);
  [[nodiscard]] Path quarantine() const { return Path(config_.spool_dir) / "quarantine"; }

  const Config& config_;
  const ReplayOptions& options_;
  const ReplayOutside& outside_;
  KnownSegments known_;
  std::unique_ptr<SpoolDirectory> spool_;
  std::map<Stream, std::unique_ptr<StreamDirectory>> streams_;
  std::uint64_t segments_made_ = 0;
  std::set<std::pair<SegmentId, Path>> seen_;  // a pattern of a shell names both files of a pair
  std::uint64_t replayed_ = 0;
  std::uint64_t refused_ = 0;
};

int Replay::run() {
  std::vector<std::string> sources = options_.sources;
  if (options_.all_set_aside) {
    for (const SegmentId& id : known_.set_aside()) {
      sources.push_back(to_string(id));
    }
  }
  for (const std::string& given : sources) {
    const ReplaySource source = replay_source_of(given, config_.spool_dir);
    // Of what is refused every file is named.
    if (source.kind == ReplaySource::Kind::refused ||
        seen_
            .emplace(source.id, source.kind == ReplaySource::Kind::set_aside ? Path() : source.path)
            .second) {
      replay_source(source);
    }
  }
  if (replayed_ > 0 && !options_.dry_run) {
    outside_.out << "Start the server: it delivers what was replayed.\n";
  } else if (replayed_ + refused_ == 0) {
    outside_.out << "nothing is set aside in " << quarantine().string() << '\n';
  }
  return refused_ == 0 ? kExitClean : kExitFailed;
}

void Replay::replay_source(const ReplaySource& source) {
  Result<std::string> done = rejected(source.why);
  if (source.kind == ReplaySource::Kind::set_aside) {
    done = replay_segment(source.id);
  } else if (source.kind != ReplaySource::Kind::refused) {
    done = replay_file(source);
  }
  (done ? replayed_ : refused_) += 1;
  const std::string_view verb = !done              ? "refused "
                                : options_.dry_run ? "would replay "
                                                   : "replayed ";
  outside_.out << verb << source.name << ": " << (done ? *done : done.error().message) << '\n';
}

// ---- a segment that was set aside ---------------------------------------------------------------

Result<std::string> Replay::replay_segment(const SegmentId& id) {
  auto state = inspect_segment(outside_.filesystem, quarantine(), id);
  if (!state && state.error().code == ENOENT) {
    return end_of_return(id);
  }
  if (!state) {
    return state.error();
  }
  const Why why = why_of(outside_.filesystem, quarantine(), id);
  if (state->kind != SegmentState::Kind::sealed && state->kind != SegmentState::Kind::unsealed) {
    return rejected(state->reason.empty() ? "it holds no record" : state->reason);
  }
  if (why.delivered) {
    return rejected(why.reason + ": there is nothing left to replay");
  }
  if (state->settings.destination != config_.destination()) {
    return rejected("its events are for " + state->settings.destination + ", the settings say " +
                    config_.destination() + ": the server would refuse to start with it");
  }
  if (const auto file = known_.replayed_export(id)) {
    return rejected("its events were replayed from " + *file +
                    ", which was exported of it: they would double");
  }
  const SegmentSummary& summary = state->seal.summary;
  const std::string counts = state->kind == SegmentState::Kind::sealed
                                 ? count_text(summary.events, summary.malformed)
                                 : "not sealed, counted at the start";
  if (!options_.dry_run) {
    auto target = stream(state->header.stream);
    if (!target) {
      return target.error();
    }
    // Before its .why.json is gone.
    note({.at = outside_.clock.wall_now(),
          .source = "quarantine",
          .sha256 = "",
          .segment = id,
          .events = summary.events,
          .malformed = summary.malformed,
          .reason = why.reason});
    state->file.reset();
    if (Status status = return_segment(**target, id); !status) {
      return status.error();
    }
  }
  return counts +
         ", back in the spool under its name; it had been set aside because: " + why.reason;
}

// Not in quarantine/, or not any more: an earlier call was interrupted behind the last step that
// matters, and what it left would look like a segment that is still set aside.
Result<std::string> Replay::end_of_return(const SegmentId& id) {
  const auto where = known_.spooled(id);
  if (!where) {
    return rejected("no such segment in " + quarantine().string());
  }
  if (!options_.dry_run) {
    auto target = stream(*where);
    Status status = target ? return_segment(**target, id) : target.status();
    if (!status) {
      return status.error();
    }
  }
  return std::string("back in the spool already");
}

// ---- a file -------------------------------------------------------------------------------------

Result<std::string> Replay::replay_file(const ReplaySource& source) {
  auto file = ReplayFile::open(
      outside_.filesystem, source,
      {.event_bytes_max = config_.event_bytes_max, .now = outside_.clock.wall_now()});
  if (!file) {
    return file.error();
  }
  auto is_known = look_up(**file, source);
  if (!is_known) {
    return is_known.error();
  }
  auto counts = (*file)->count();
  if (!counts) {
    return counts.error();
  }
  if (counts->events == 0) {
    return rejected("no event in it, " + count_text(0, counts->malformed) +
                    ": it would be rejected again, byte for byte");
  }
  if (Status status = refuse_without_room(*counts); !status) {
    return status.error();
  }
  const std::string text = count_text(counts->events, counts->malformed);
  if (options_.dry_run) {
    return text + ", as a new segment";
  }
  auto target = stream(Stream::xml);
  if (!target) {
    return target.error();
  }
  // One that is wanted again must not have the uid that it has already.
  const SegmentId id{(*target)->first_new_num() + segments_made_++,
                     *is_known ? outside_.random() : (*file)->uid()};
  auto summary = write_segment(**file, id, source);
  if (!summary) {
    return summary.error();
  }
  known_.add(id, Stream::xml);
  note({.at = outside_.clock.wall_now(),
        .source = source.path.string(),
        .sha256 = (*file)->sha256(),
        .segment = id,
        .exported_from = (*file)->exported_from(),
        .events = summary->events,
        .malformed = summary->malformed,
        .reason = ""});
  return text + ", as segment " + to_string(id);
}

Result<bool> Replay::look_up(const ReplayFile& file, const ReplaySource& source) {
  auto place = known_.find(file.uid());
  if (!place) {
    return place.error();
  }
  if (options_.again) {
    return place->has_value();
  }
  if (!*place) {
    return refuse_export(file);
  }
  const KnownSegments::Place& found = **place;
  if (!found.is_noted && !options_.dry_run) {
    // We were interrupted before we could write it down; the ledger will forget it one day.
    note({.at = outside_.clock.wall_now(),
          .source = source.path.string(),
          .sha256 = file.sha256(),
          .segment = found.segment,
          .exported_from = file.exported_from(),
          .events = 0,
          .malformed = 0,
          .reason = ""});
  }
  return rejected("already replayed: " + found.sentence +
                  " (--again replays it nevertheless, and its events double)");
}

// An export of a segment that is, or will be, delivered itself.
Result<bool> Replay::refuse_export(const ReplayFile& file) {
  if (!file.exported_from()) {
    return false;
  }
  auto place = known_.find(file.exported_from()->uid);
  if (!place) {
    return place.error();
  }
  if (!*place || (*place)->is_set_aside) {
    return false;
  }
  return rejected("it was exported of segment " + to_string(*file.exported_from()) + ": " +
                  (*place)->sentence + " (--again replays it nevertheless, and its events double)");
}

Status Replay::refuse_without_room(const ReplayFile::Counts& counts) const {
  const std::uint64_t bytes = kRecordsBegin + counts.piece_bytes +
                              counts.pieces() * (kPieceBytes + 2 * kRecordHeaderBytes) +
                              kSealRecordBytes;
  if (bytes > config_.spool_bytes_max / kSegmentShare ||
      counts.pieces() > std::numeric_limits<std::uint32_t>::max()) {
    return rejected(fmt::format(
        "it makes a segment of up to {} bytes, more than an eighth of SPOOL_MAX_BYTES={}: split it",
        bytes, config_.spool_bytes_max));
  }
  if (spool_ == nullptr) {
    return {};
  }
  auto usage = spool_->measure();
  if (!usage) {
    return usage.status();
  }
  if (usage->bytes + bytes > config_.spool_bytes_max) {
    return rejected(
        fmt::format("the spool holds {} of SPOOL_MAX_BYTES={} and this needs up to {} "
                    "more: let it drain first",
                    usage->bytes, config_.spool_bytes_max, bytes));
  }
  return {};
}

Result<SegmentSummary> Replay::write_segment(const ReplayFile& file, const SegmentId& id,
                                             const ReplaySource& source) {
  auto target = stream(Stream::xml);
  if (!target) {
    return target.error();
  }
  SegmentHeader header = (*target)->header_of(id);
  header.created_at = outside_.clock.wall_now();
  header.settings = with_origin(
      header.settings, {printable_file_name(source.path.filename().string()), file.sha256()});
  auto segment = WholeSegment::begin(**target, header);
  if (!segment) {
    return segment.error();
  }
  Status status =
      file.for_each_piece([&](const WholeSegment::Entry& entry) { return (*segment)->add(entry); });
  if (status) {
    status = (*segment)->publish();
  }
  return status ? Result<SegmentSummary>((*segment)->summary()) : status.error();
}

// ---- what both need -----------------------------------------------------------------------------

void Replay::note(ReplayNote note) {
  if (Status status = append_replay_note(outside_.filesystem, config_.spool_dir, note); !status) {
    outside_.errors << "sluice replay: replays.jsonl is not written: " << status.error().message
                    << '\n';
  }
}

Result<StreamDirectory*> Replay::stream(Stream stream) {
  auto& known = streams_[stream];
  if (known == nullptr) {
    const std::string instance =
        config_.instance_id.empty() ? spool_->format().instance : config_.instance_id;
    auto made = spool_->stream(stream, segment_settings_of(config_, instance));
    if (!made) {
      return made.error();
    }
    known = std::move(*made);
  }
  return known.get();
}

int fail(const ReplayOutside& outside, int exit_code, const std::string& message) {
  outside.errors << "sluice replay: " << message << '\n';
  return exit_code;
}

std::string locked_text(const Config& config, const std::string& holder) {
  return "a server" + holder + " runs on SPOOL_DIR=" + config.spool_dir +
         ": stop it, replay, and start it again; the start delivers what was replayed";
}

}  // namespace

int replay(const Config& config, const ReplayOptions& options, const ReplayOutside& outside) {
  if (options.sources.empty() && !options.all_set_aside) {
    return fail(outside, kExitConfiguration,
                "nothing to replay: name segments or files, or --all-set-aside");
  }
  // A spool is not made here: in one that no server uses the events would lie for ever.
  if (auto format = read_spool_format(outside.filesystem, config.spool_dir); !format) {
    return fail(outside, kExitSpool,
                format.error().message + ". SPOOL_DIR has to be that of the server.");
  }
  std::unique_ptr<SpoolDirectory> spool;
  if (!options.dry_run) {
    auto opened = SpoolDirectory::open(outside.filesystem, outside.clock,
                                       {.path = config.spool_dir,
                                        .destination = config.destination(),
                                        .owner = outside.owner,
                                        .pid = outside.pid,
                                        .random = outside.random});
    if (auto* refusal = std::get_if<SpoolRefusal>(&opened)) {
      const bool locked = refusal->kind == SpoolRefusal::Kind::locked;
      return fail(outside, refusal->exit_code(),
                  locked ? locked_text(config, "") + " (" + refusal->error.message + ")"
                         : refusal->error.message);
    }
    spool = std::move(std::get<std::unique_ptr<SpoolDirectory>>(opened));
  }
  auto known = KnownSegments::read(outside.filesystem, config.spool_dir);
  if (!known) {
    return fail(outside, kExitSpool, known.error().message);
  }
  Replay replay(config, options, outside, *std::move(known));
  replay.use(std::move(spool));
  return replay.run();
}

int replay_command(const Config& config, const ReplayOptions& options) {
  PosixFilesystem filesystem;
  SystemClock clock;
  const ReplayOutside outside{.filesystem = filesystem,
                              .clock = clock,
                              .out = std::cout,
                              .errors = std::cerr,
                              .owner = ::geteuid(),
                              .pid = static_cast<std::uint64_t>(::getpid())};
  // So that a path says in which folder a file lies; what is not there is refused later, by name.
  const auto resolved = [](const std::string& path) {
    std::error_code error;
    const Path found = std::filesystem::weakly_canonical(std::filesystem::absolute(path), error);
    return error ? path : found.string();
  };
  Config resolved_config = config;
  resolved_config.spool_dir = resolved(config.spool_dir);
  ReplayOptions resolved_options = options;
  for (std::string& source : resolved_options.sources) {
    source = parse_segment_id(source) ? source : resolved(source);
  }
  if (const auto pid = running_pid(resolved_config.spool_dir); pid && options.dry_run) {
    return fail(outside, kExitSpool,
                locked_text(config, " (process " + std::to_string(*pid) + ")"));
  }
  return replay(resolved_config, resolved_options, outside);
}

}  // namespace sluice
