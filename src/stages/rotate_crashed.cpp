// Rotate and segments of which earlier processes died: they are tried again, but one that did it
// too often is looked into no more; it goes to Upload as it lies on the disk.
#include <algorithm>

#include "common/log/log.h"
#include "common/platform/crash_marks.h"
#include "common/spool/segment_image.h"
#include "stages/rotate.h"

namespace sluice {

bool Rotator::crashed_too_often(const SegmentId& id) const {
  return links_.spool.crashes().of(id).times >= options_.crashes_max;
}

void Rotator::report_crashes(const SegmentId& id) {
  const SegmentCrashes crashes = links_.spool.crashes().of(id);
  if (crashes.times == 0) {
    return;
  }
  const std::string died = "the process died by " + std::string(fatal_signal_name(crashes.signal)) +
                           " while it worked on segment " + to_string(id) + ", " +
                           std::to_string(std::min(crashes.times, options_.crashes_max)) + " of " +
                           std::to_string(options_.crashes_max) + " times: ";
  links_.conditions.raise(
      crashing_condition(id), Conditions::Severity::alarm,
      died + (crashed_too_often(id)
                  ? "it is looked into no more; the store gets it as it is, and then it is set "
                    "aside in " +
                        links_.stream.quarantine().string()
                  : std::string("it is tried again; please report it")));
}

void Rotator::forget_its_crashes(const SegmentId& id) const {
  if (links_.spool.crashes().of(id).times == 0) {
    return;
  }
  const Status forgotten = forget_crashes(links_.stream.filesystem(), links_.spool.path(), id);
  if (!forgotten) {
    log::warning("crashes not forgotten",
                 {{"segment", to_string(id)}, {"error", forgotten.error().message}});
  }
}

// Of a segment that nobody sealed, and whose scan is what crashes, nothing is known but its header:
// all of its file counts.
Result<SegmentState> Rotator::inspect_ready(const SegmentId& id) {
  auto state = inspect_segment(links_.stream.filesystem(), links_.stream.path(), id);
  if (!state || state->kind != SegmentState::Kind::unsealed || !crashed_too_often(id)) {
    return state;
  }
  auto info = state->file->info();
  if (!info) {
    return info.error();
  }
  state->kind = SegmentState::Kind::sealed;
  state->seal = {};
  state->seal.summary.end = info->bytes;
  state->seal.summary.first_received_at = state->header.created_at;
  return state;
}

// The parts of its image, cut where nobody has to look for it.
BlockWalker::BlockRange Rotator::next_raw_range() const {
  const SealedSegment& segment = *admission_->segment;
  const std::uint64_t bytes = image_bytes(segment.seal);
  BlockWalker::BlockRange range;
  range.begin = std::uint64_t{segment.settings.block_bytes} * admission_->next_index;
  range.end = std::min(range.begin + segment.settings.block_bytes, bytes);
  range.last = range.end == bytes;
  return range;
}

}  // namespace sluice
