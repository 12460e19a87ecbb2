#include "commands/replayer.h"

#include <fmt/format.h>

#include <cerrno>
#include <limits>
#include <ostream>

#include "commands/exit_code.h"
#include "commands/server_reports.h"
#include "common/spool/segment_files.h"
#include "common/spool/segment_origin.h"
#include "common/spool/segment_state.h"

namespace sluice {
namespace {

std::string count_text(std::uint64_t events, std::uint64_t malformed) {
  return fmt::format("{} events, {} malformed runs", events, malformed);
}

}  // namespace

int Replayer::run() {
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

void Replayer::replay_source(const ReplaySource& source) {
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

Result<std::string> Replayer::replay_segment(const SegmentId& id) {
  auto state = inspect_segment(outside_.filesystem, quarantine(), id);
  if (!state && state.error().code == ENOENT) {
    return end_of_return(id);
  }
  if (!state) {
    return state.error();
  }
  const SetAside why = read_set_aside(outside_.filesystem, quarantine(), id);
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
  if (const auto file = known_.replayed_export(id); file && !options_.again) {
    return rejected("its events were replayed from " + *file +
                    ", which was exported of it: they would double (--again)");
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
Result<std::string> Replayer::end_of_return(const SegmentId& id) {
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

Result<std::string> Replayer::replay_file(const ReplaySource& source) {
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

Result<bool> Replayer::look_up(const ReplayFile& file, const ReplaySource& source) {
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
Result<bool> Replayer::refuse_export(const ReplayFile& file) {
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

Status Replayer::refuse_without_room(const ReplayFile::Counts& counts) const {
  const std::uint64_t bytes = kRecordsBegin + counts.piece_bytes +
                              counts.pieces() * (kPieceBytes + 2 * kRecordHeaderBytes) +
                              kSealRecordBytes;
  if (bytes > segment_file_bytes_max(config_) ||
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

Result<SegmentSummary> Replayer::write_segment(const ReplayFile& file, const SegmentId& id,
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

void Replayer::note(ReplayNote note) {
  if (Status status = append_replay_note(outside_.filesystem, config_.spool_dir, note); !status) {
    outside_.errors << "sluice replay: replays.jsonl is not written: " << status.error().message
                    << '\n';
  }
}

Result<StreamDirectory*> Replayer::stream(Stream stream) {
  auto& known = streams_[stream];
  if (known == nullptr) {
    const std::string instance =
        config_.instance_id.empty() ? spool_->format().instance : config_.instance_id;
    auto made = spool_->stream(
        stream, segment_settings_of(config_, stream_config(config_, stream), instance));
    if (!made) {
      return made.error();
    }
    known = std::move(*made);
  }
  return known.get();
}

}  // namespace sluice
