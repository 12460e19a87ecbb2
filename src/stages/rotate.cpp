#include "stages/rotate.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "common/base/check.h"
#include "common/log/log.h"
#include "common/ndjson/log_block_cost.h"
#include "common/platform/crash_marks.h"
#include "common/spool/segment_catalog.h"
#include "common/spool/segment_files.h"
#include "common/xml/block_cost.h"

namespace sluice {
namespace {

constexpr int kBlocksATurn = 16;
constexpr std::uint64_t kPreparedShare = 8;
constexpr std::chrono::seconds kConsumptionInterval{1};

}  // namespace

Rotator::Rotator(Options options, Links links)
    : options_(options),
      links_(links),
      disk_(links.spool, links.stream.clock(), links.conditions, links.pause_reading,
            options.disk) {}

Status Rotator::process(RotateInput input, Outbox<Block>& /*out*/) {
  if (auto* finished = std::get_if<FinishedSegment>(&input)) {
    if (known_.insert(finished->id.num).second) {
      if (finished->abandoned || !finished->file) {
        to_examine_.push_back(finished->id);
      } else {
        to_seal_.push_back(std::move(*finished));
      }
    }
  } else if (auto* outcome = std::get_if<SegmentOutcome>(&input)) {
    const std::uint64_t num = outcome->id.num;
    if (in_egress_.erase(num) + parked_.erase(num) == 0) {
      return {};
    }
    if (outcome->kind == SegmentOutcome::Kind::parked) {
      parked_.insert(num);
    } else if (outcome->kind == SegmentOutcome::Kind::postponed) {
      ready_[{links_.stream.writing_num.load(), num}] = {outcome->id, true};
    } else {
      // Of one that crashed too often Upload has said what became of it.
      if (outcome->kind == SegmentOutcome::Kind::done || !crashed_too_often(outcome->id)) {
        links_.conditions.clear(crashing_condition(outcome->id));
      }
      forget(outcome->id);
    }
  } else if (std::holds_alternative<DrainEgress>(input)) {
    draining_ = true;
    list(!listed_);
  }
  busy_ = true;
  return {};
}

Status Rotator::on_idle(Outbox<Block>& out) {
  const MonotonicTime now = links_.stream.clock().now();
  prepare();
  if (!listed_ || unhanded_seen_ != links_.stream.finished_unhanded.load()) {
    list(!listed_);
  }
  busy_ = false;
  if (now >= retry_at_) {
    busy_ = seal_one() || scan_step() || examine_one() || unlink_one_empty();
  }
  if (Status status = admit(out); !status) {
    return status;
  }
  if (!busy_ && now >= retry_at_) {
    end_trouble();
  }
  disk_.look(links_.books.bytes_in_records.load());
  links_.books.bytes_on_disk.store(disk_.bytes_used());
  links_.books.segments_in_spool.store(known_.size());
  return {};
}

MonotonicTime Rotator::wake_at() const {
  const MonotonicTime now = links_.stream.clock().now();
  if (busy_) {
    return now;
  }
  MonotonicTime at = disk_.next_at();
  if (blocked_) {
    at = std::min(at, now + options_.admit_interval);
  }
  return retry_at_ > now ? std::min(at, retry_at_) : at;
}

bool Rotator::finished() const {
  return draining_ && to_seal_.empty() && to_examine_.empty() && !scan_ && ready_.empty() &&
         !admission_ && in_egress_.empty();
}

// What is prepared is of no use any more, but for the newest: see needs_successor.
Status Rotator::finish(Outbox<Block>& /*out*/) {
  discard_stale();
  return {};
}

// ---- what there is ------------------------------------------------------------------------------

void Rotator::list(bool first) {
  StreamDirectory& stream = links_.stream;
  unhanded_seen_ = stream.finished_unhanded.load();
  const std::uint64_t below = stream.writing_num.load();
  auto listing = list_segments(stream.filesystem(), stream.path());
  if (!listing) {
    log::limited(log::Level::error, "spool not listed", {{"error", listing.error().message}});
    unhanded_seen_ = ~std::uint64_t{0};  // again at the next turn
    return;
  }
  listed_ = true;
  for (const auto& segment : listing->segments) {
    if (segment.id.num < below && known_.insert(segment.id.num).second) {
      to_examine_.push_back(segment.id);
      report_crashes(segment.id);
    }
  }
  if (!first) {
    return;
  }
  // Nobody else works on what is numbered below while egress begins.
  for (const SegmentId& id : listing->orphans) {
    if (id.num < below) {
      (void)unlink_segment(stream, id).ok();
    }
  }
  for (const std::string& name : listing->leftover) {
    const auto id = segment_id_of(name.substr(0, name.find('.')), "");
    if (!id || id->num < below) {
      (void)stream.filesystem().unlink(stream.path() / name).ok();
    }
  }
  for (const std::string& name : listing->odd) {
    log::warning("not a segment, ignored", {{"path", (stream.path() / name).string()}});
  }
  // What an egress before this one was told of and unlinked, but could not tell us.
  for (auto entry = stream.pieces_by_num.begin(); entry != stream.pieces_by_num.end();) {
    if (known_.contains(entry->first)) {
      ++entry;
    } else {
      links_.books.pieces_in_spool -= entry->second;
      entry = stream.pieces_by_num.erase(entry);
    }
  }
}

// ---- preparing ----------------------------------------------------------------------------------

// The newest segment must not be unlinked before a newer one is durable.
bool Rotator::needs_successor() const {
  return !known_.empty() && *known_.rbegin() >= links_.stream.newest_durable_num();
}

// Spool made one itself, above all that were prepared: those are of no use.
void Rotator::discard_stale() {
  StreamDirectory& stream = links_.stream;
  while (auto prepared = links_.prepared.try_pop()) {
    if (prepared->id.num < stream.newest_durable_num()) {
      (void)stream.filesystem().unlink(segment_path(stream.path(), prepared->id)).ok();
    }
  }
}

// How many Spool took in the last second says how many to have ready.
void Rotator::note_consumption() {
  const MonotonicTime now = links_.stream.clock().now();
  if (now < consumption_at_) {
    return;
  }
  consumption_at_ = now + kConsumptionInterval;
  const std::uint64_t consumed = links_.stream.made_by_writer.load() + prepared_total_ -
                                 std::min<std::uint64_t>(prepared_total_, links_.prepared.size());
  const std::uint64_t rate = consumed - std::min(consumed, consumed_before_);
  consumed_before_ = consumed;
  prepare_target_ =
      std::min<std::size_t>(std::max<std::uint64_t>(rate + 1, 2), links_.prepared.capacity());
}

void Rotator::prepare() {
  StreamDirectory& stream = links_.stream;
  note_consumption();
  const bool paused = links_.pause_reading.load();
  const std::size_t target = paused || draining_ ? 1 : prepare_target_;
  if (needs_successor()) {
    discard_stale();
  } else if (draining_) {
    return;
  }
  const std::size_t there = links_.prepared.size();
  if (there >= target || stream.clock().now() < prepare_retry_at_) {
    return;
  }
  // What is prepared counts as used: together it must stay far below the low watermark, or reading
  // would stop for ever.
  const std::uint64_t allocate_bytes =
      paused || draining_ ? 0
                          : std::min(options_.segment_allocate_bytes,
                                     options_.disk.bytes_max / kPreparedShare / target);
  auto made = stream.create_segments(target - there, allocate_bytes);
  if (!made) {
    // Spool says so where it matters: it makes one itself when it needs one.
    log::limited(log::Level::warning, "segment not prepared", {{"error", made.error().message}});
    prepare_retry_at_ = stream.clock().now() + options_.retry_interval;
    return;
  }
  for (auto& segment : *made) {
    PreparedSegment prepared{segment.header.id, std::move(segment.file)};
    if (links_.prepared.try_push(prepared)) {
      ++prepared_total_;
    } else if (prepared.id.num < stream.newest_durable_num()) {
      (void)stream.filesystem().unlink(segment_path(stream.path(), prepared.id)).ok();
    }
  }
}

// ---- admission ----------------------------------------------------------------------------------

Status Rotator::admit(Outbox<Block>& out) {
  blocked_ = false;
  for (int turn = 0; turn < kBlocksATurn; ++turn) {
    if (!admission_) {
      if (Status status = begin_admission(); !status) {
        return status;
      }
      if (!admission_) {
        return {};
      }
    }
    if (!admission_->range) {
      auto range = next_range();
      if (!range) {
        return range.error();
      }
      admission_->range = *range;
    }
    if (!dispatch(out)) {
      blocked_ = true;
      return {};
    }
  }
  busy_ = true;
  return {};
}

Result<BlockWalker::BlockRange> Rotator::next_range() {
  if (admission_->segment->raw) {
    return next_raw_range();
  }
  const WorkingOn working_on(admission_->segment->id);
  auto range = admission_->walker.next();
  if (!range) {
    return range.error();
  }
  CHECK_THAT(range->has_value());
  return **range;
}

// Opens the first segment of the line, if one may go.
Status Rotator::begin_admission() {
  const auto next = std::find_if(ready_.begin(), ready_.end(), [&](const auto& entry) {
    return entry.second.id.num < links_.stream.newest_durable_num();
  });
  if (next == ready_.end() || in_egress_.size() >= options_.segments_admitted_max ||
      links_.stream.clock().now() < retry_at_) {
    return {};
  }
  const Ready ready = next->second;
  StreamDirectory& stream = links_.stream;
  auto state = inspect_ready(ready.id);
  auto rejects = read_rejects(stream.filesystem(), stream.path(), ready.id);
  if (!state && state.error().code == ENOENT) {
    ready_.erase(next);
    note_missing(ready.id);
    busy_ = true;
    return {};
  }
  if (!state || (!rejects && rejects.error().kind != ErrorKind::rejected)) {
    // At the end of the line, so that it does not hold the others up.
    ready_.erase(next);
    ready_[{stream.writing_num.load(), ready.id.num}] = ready;
    retry_later("segment not readable", ready.id, state ? rejects.error() : state.error());
    return {};
  }
  ready_.erase(next);
  if (state->kind != SegmentState::Kind::sealed || !rejects) {
    set_aside(ready.id, rejects ? "sealed, but now: " + state->reason : rejects.error().message);
    return {};
  }
  if (options_.keeps_locally) {
    finish_locally(*state);
    return {};
  }
  auto segment = std::make_shared<SealedSegment>();
  segment->id = ready.id;
  segment->stream = stream.stream();
  segment->path = segment_path(stream.path(), ready.id);
  segment->file = std::move(state->file);
  segment->header = std::move(state->header);
  segment->settings = std::move(state->settings);
  segment->seal = std::move(state->seal);
  segment->known_rejects = *std::move(rejects);
  segment->found_at_start = ready.found;
  segment->raw = crashed_too_often(ready.id);
  BlockWalker walker(*segment->file, segment->header, segment->seal.kept,
                     segment->settings.block_bytes);
  in_egress_[ready.id.num] = ready.id;
  admission_.emplace(Admission{std::move(segment), std::move(walker), 0, std::nullopt});
  return {};
}

// Spool gave it away, or recovery found it, with its lines durable in the log file.
void Rotator::finish_locally(const SegmentState& state) {
  const SegmentId id = state.header.id;
  if (Status status = unlink_segment(links_.stream, id); !status) {
    ready_[{links_.stream.writing_num.load(), id.num}] = {id, true};
    return retry_later("segment not unlinked", id, status.error());
  }
  links_.books.pieces_kept_locally += state.seal.summary.pieces();
  links_.books.segments_done += 1;
  forget(id);
  busy_ = true;
}

// False: no room, in memory or in the queue.
bool Rotator::dispatch(Outbox<Block>& out) {
  const auto range = *admission_->range;
  const std::uint64_t bytes = range.end - range.begin;
  const SealedSegment& segment = *admission_->segment;
  auto room = room_for(segment.raw ? bytes
                       : segment.stream == Stream::logs
                           ? log_block_cost_bytes(bytes, range.pieces)
                           : block_cost_bytes(segment.settings, bytes, range.pieces));
  if (!room) {
    return false;
  }
  Block block;
  block.segment = admission_->segment;
  block.index = admission_->next_index;
  block.last = range.last;
  block.begin = range.begin;
  block.end = range.end;
  block.room = std::move(*room);
  if (!out.try_push(block)) {
    return false;
  }
  ++blocks_dispatched_;
  ++admission_->next_index;
  admission_->range.reset();
  if (range.last) {
    admission_.reset();
  }
  return true;
}

std::optional<Charge> Rotator::room_for(std::size_t bytes) {
  auto room = links_.budget.try_charge(bytes);
  if (!room && links_.upload_starved_after.load() == blocks_dispatched_) {
    // Nothing but finished blocks of its own segment is in the way, each object's last part of
    // them, which waits for this block in Upload: it goes now, and alone, or never.
    log::limited(log::Level::warning, "block over the memory share", {{"bytes", bytes}});
    room = links_.budget.charge_anyway(bytes);
  }
  return room;
}

}  // namespace sluice
