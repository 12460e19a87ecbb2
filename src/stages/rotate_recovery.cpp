// Rotate's care for segments that are not ready for egress: sealing what Spool finished, recovery
// of what nobody sealed, setting aside, and the account of pieces. Each call is one step.
#include <algorithm>
#include <utility>

#include "common/log/log.h"
#include "common/platform/crash_marks.h"
#include "common/spool/segment_files.h"
#include "stages/rotate.h"

namespace sluice {
namespace {

constexpr std::uint64_t kTornBytesKept = 64 * kKiB;
constexpr std::uint64_t kDamagedBytesKept = 64 * kMiB;
constexpr std::string_view kDamage = "spool.damage";
constexpr std::string_view kSetAside = "spool.set_aside";
constexpr std::string_view kNewer = "spool.newer_segment";
constexpr std::string_view kMissing = "spool.missing_segment";
constexpr std::string_view kStuck = "spool.recovery";

}  // namespace

bool Rotator::seal_one() {
  if (to_seal_.empty()) {
    return false;
  }
  FinishedSegment& segment = to_seal_.front();
  if (Status status = seal(segment); !status) {
    retry_later("segment not sealed", segment.id, status.error());
    return false;
  }
  account(segment.id, segment.summary.pieces());
  ready_[{segment.id.num, segment.id.num}] = {segment.id, false};
  to_seal_.pop_front();
  return true;
}

Status Rotator::seal(FinishedSegment& segment) {
  if (segment.file) {
    const std::unique_ptr<File> file = std::move(segment.file);
    const auto record =
        encode_seal_record(segment.summary, CrcSeed(links_.stream.header_of(segment.id)));
    // Cut before the sync, so that nothing can lie behind a durable SEAL record; this also returns
    // the rest of the allocation.
    Status status = write_all(*file, record, segment.summary.end);
    if (status) {
      status = file->truncate(segment.summary.end + record.size());
    }
    if (status) {
      status = file->fdatasync();
    }
    if (status) {
      return {};
    }
    log::warning("segment sealed by a side file",
                 {{"segment", to_string(segment.id)}, {"error", status.error().message}});
  }
  SegmentSeal side_seal;
  side_seal.summary = segment.summary;
  side_seal.kept = {{kRecordsBegin, segment.summary.end}};
  return write_side_seal(links_.stream, segment.id, side_seal);
}

bool Rotator::examine_one() {
  if (scan_ || to_examine_.empty()) {
    return false;
  }
  const SegmentId id = to_examine_.front();
  auto state = inspect_segment(links_.stream.filesystem(), links_.stream.path(), id);
  if (!state && state.error().code == ENOENT) {
    known_.erase(id.num);
    to_examine_.pop_front();
    return true;
  }
  if (!state) {
    // At the end of the line, so that one bad file does not hold the others up.
    to_examine_.pop_front();
    to_examine_.push_back(id);
    retry_later("segment not readable", id, state.error());
    return false;
  }
  to_examine_.pop_front();
  sort(id, std::move(*state));
  return true;
}

void Rotator::sort(const SegmentId& id, SegmentState state) {
  switch (state.kind) {
    case SegmentState::Kind::sealed:
      account(id, state.seal.summary.pieces());
      if (state.seal.summary.pieces() == 0) {
        empty_.push_back(id);
      } else {
        ready_[{id.num, id.num}] = {id, true};
      }
      return;
    case SegmentState::Kind::unsealed: {
      if (crashed_too_often(id)) {
        account(id, 0);
        ready_[{id.num, id.num}] = {id, true};
        return;
      }
      const Path path = segment_path(links_.stream.path(), id);
      auto file = links_.stream.filesystem().open(path, OpenMode::read_write);
      if (!file) {
        to_examine_.push_back(id);
        retry_later("segment not readable", id, file.error());
        return;
      }
      scan_.emplace(Scan{id, SegmentRecovery(std::move(*file), state.header)});
      return;
    }
    case SegmentState::Kind::empty:
      account(id, 0);
      empty_.push_back(id);
      return;
    case SegmentState::Kind::unusable:
      set_aside(id, state.reason);
      return;
    case SegmentState::Kind::newer:
      // It stays known, so that nobody looks at it again.
      links_.conditions.raise(kNewer, Conditions::Severity::alarm,
                              "segment " + to_string(id) + ": " + state.reason +
                                  "; it stays where it is until a newer program runs");
      return;
  }
}

bool Rotator::scan_step() {
  if (!scan_) {
    return false;
  }
  const WorkingOn working_on(scan_->id);
  if (!scan_->done) {
    auto done = scan_->recovery.step(options_.scan_step_bytes);
    if (!done) {
      const SegmentId id = scan_->id;
      scan_.reset();
      to_examine_.push_back(id);
      retry_later("segment not scanned", id, done.error());
      return false;
    }
    scan_->done = *done;
    return true;
  }
  if (Status status = conclude_scan(); !status) {
    retry_later("recovered segment not sealed", scan_->id, status.error());
    return false;
  }
  scan_.reset();
  return true;
}

Status Rotator::conclude_scan() {
  const SegmentId id = scan_->id;
  const SegmentRecovery& recovery = scan_->recovery;
  const SegmentSeal seal = recovery.seal();
  for (const KeptRange& range : recovery.damage()) {
    Status status = quarantine_range(
        links_.stream, id, recovery.file(),
        {range, "damage", kDamagedBytesKept, "was durable and does not verify any more"});
    if (!status) {
      return status;
    }
  }
  if (const auto torn = recovery.torn_tail()) {
    Status status = quarantine_range(
        links_.stream, id, recovery.file(),
        {*torn, "torn", kTornBytesKept, "behind the last whole record: never acknowledged"});
    if (!status) {
      return status;
    }
  }
  if (seal.summary.records > 0) {
    if (Status status = write_side_seal(links_.stream, id, seal); !status) {
      return status;
    }
  }
  // Counted once all of it is durable, so that a retry counts nothing twice.
  for (const KeptRange& range : recovery.damage()) {
    links_.books.bytes_damaged += range.end - range.begin;
    links_.conditions.raise(kDamage, Conditions::Severity::alarm,
                            "segment " + to_string(id) + " is damaged: bytes copied to " +
                                links_.stream.quarantine().string() + "; check the disk");
  }
  if (const auto torn = recovery.torn_tail()) {
    links_.books.bytes_torn += torn->end - torn->begin;
  }
  log::info("segment recovered", {{"stream", std::string(to_string(links_.stream.stream()))},
                                  {"segment", to_string(id)},
                                  {"events", seal.summary.events},
                                  {"malformed", seal.summary.malformed},
                                  {"bytes", seal.summary.run_bytes}});
  account(id, seal.summary.pieces());
  if (seal.summary.pieces() > 0) {
    ready_[{id.num, id.num}] = {id, true};
  } else {
    empty_.push_back(id);
  }
  return {};
}

// Nothing to upload, no object.
bool Rotator::unlink_one_empty() {
  const auto found = std::find_if(empty_.begin(), empty_.end(), [&](const SegmentId& id) {
    return id.num < links_.stream.newest_durable_num();
  });
  if (found == empty_.end()) {
    return false;
  }
  const SegmentId id = *found;
  if (Status status = unlink_segment(links_.stream, id); !status) {
    retry_later("empty segment not unlinked", id, status.error());
    return false;
  }
  empty_.erase(found);
  forget(id);
  return true;
}

void Rotator::set_aside(const SegmentId& id, const std::string& reason) {
  SetAside why;
  why.reason = reason;
  if (Status status = set_segment_aside(links_.stream, id, why); !status) {
    to_examine_.push_back(id);
    retry_later("segment not set aside", id, status.error());
    return;
  }
  links_.conditions.raise(
      kSetAside, Conditions::Severity::alarm,
      "segment " + to_string(id) + " was set aside in " + links_.stream.quarantine().string() +
          ": " + reason +
          ". Once that is repaired, stop the server and run: " + replay_command_of(id));
  links_.conditions.clear(crashing_condition(id));
  if (const auto pieces = links_.stream.take_finished(id.num)) {
    links_.books.pieces_set_aside += *pieces;
    links_.books.pieces_in_spool -= *pieces;
  } else if (const auto known = links_.stream.pieces_by_num.find(id.num);
             known != links_.stream.pieces_by_num.end()) {
    links_.books.pieces_set_aside += known->second;
  }
  forget(id);
}

// Enters a segment into the books, once a process.
void Rotator::account(const SegmentId& id, std::uint64_t pieces) {
  StreamDirectory& stream = links_.stream;
  const auto written = stream.take_finished(id.num);
  if (!stream.pieces_by_num.emplace(id.num, pieces).second) {
    return;
  }
  if (written && *written > pieces) {
    links_.books.pieces_lost_to_damage += *written - pieces;
    links_.books.pieces_in_spool -= *written - pieces;
  } else if (id.num < stream.first_new_num()) {
    links_.books.pieces_found_at_start += pieces;
    links_.books.pieces_in_spool += pieces;
  }
}

void Rotator::forget(const SegmentId& id) {
  known_.erase(id.num);
  forget_its_crashes(id);
  const auto pieces = links_.stream.pieces_by_num.find(id.num);
  if (pieces != links_.stream.pieces_by_num.end()) {
    links_.books.pieces_in_spool -= pieces->second;
    links_.stream.pieces_by_num.erase(pieces);
  }
}

// Not by us: whoever removed it took its events. The others go on.
void Rotator::note_missing(const SegmentId& id) {
  links_.conditions.raise(kMissing, Conditions::Severity::alarm,
                          "segment " + to_string(id) + " was removed from " +
                              links_.stream.path().string() +
                              " before it was uploaded, and not by us: restore it from a backup");
  const auto pieces = links_.stream.pieces_by_num.find(id.num);
  if (pieces != links_.stream.pieces_by_num.end()) {
    links_.books.pieces_lost_to_damage += pieces->second;
  }
  forget(id);
}

void Rotator::retry_later(std::string_view what, const SegmentId& id, const Error& error) {
  log::limited(log::Level::error, what, {{"segment", to_string(id)}, {"error", error.message}});
  links_.conditions.raise(kStuck, Conditions::Severity::alarm,
                          std::string(what) + ": " + error.message + "; trying again");
  retry_at_ = links_.stream.clock().now() + options_.retry_interval;
}

// Everything that there was to do was done.
void Rotator::end_trouble() {
  if (retry_at_ != MonotonicTime{}) {
    retry_at_ = {};
    links_.conditions.clear(kStuck);
  }
}

}  // namespace sluice
