// Uploader: what an earlier process left, in the spool and in the store.
#include <utility>

#include "common/log/log.h"
#include "common/s3/object_key.h"
#include "common/spool/segment_files.h"
#include "stages/upload.h"

namespace sluice {
namespace {

using std::chrono::seconds;

// A signed request is accepted for so long after it was made (AWS, "Authenticating Requests"), by
// whomever it was held up on its way.
constexpr std::chrono::minutes kSignatureLife{15};

}  // namespace

// Nothing is sent before all answers are there: another object under one of the keys must keep the
// others from being made.
void Uploader::settle_lookups(Job& job) {
  if (!job.upload.looked()) {
    return;
  }
  if (job.upload.complete_in_store()) {
    // Where nothing was rejected when its data object was made, a stricter validator has no say any
    // more.
    job.looking = false;
    job.all_found = !job.upload.segment().raw;
    begin_ending(job, Ending::done);
    return;
  }
  job.not_before = writes_from(job.upload.segment());
  if (outside_.clock.now() >= job.not_before) {
    job.looking = false;
    if (job.upload.segment().raw) {
      job.upload.forget_unneeded();
    }
    job.upload.allow_send();
  }
}

// A request of the process that found this segment before us may be on its way yet. Where its bytes
// are others, and no condition keeps it from writing over ours, it has to be dead first.
MonotonicTime Uploader::writes_from(const SealedSegment& segment) {
  if (segment.settings.converter_version == options_.converter_version ||
      outside_.store.capabilities().conditions_proven) {
    return {};
  }
  const MonotonicTime from = started_at_ + kSignatureLife;
  if (!std::exchange(said_waiting_, true) && outside_.clock.now() < from) {
    log::info("waiting for another version",
              {{"seconds", std::chrono::ceil<seconds>(from - outside_.clock.now()).count()},
               {"why", "the spool is of another converter, and the store knows no conditions"}});
  }
  return from;
}

// Where a segment was found and we reject some of it: another version may have rejected nothing,
// and its data object may be on its way yet, with all events in it. So ours goes first, and its
// answer says which of the two is there; where we have none, that one's request has to be dead
// first.
void Uploader::release_quarantine(Job& job) {
  const SealedSegment& segment = job.upload.segment();
  const auto& data = job.upload.object(ObjectRole::data);
  if (segment.found_at_start && !segment.raw && !job.upload.rejects().rejects.empty()) {
    if (data != nullptr && data->state() != ObjectUpload::State::done) {
      return;
    }
    // What Frame found to be malformed is no event to any version.
    const bool may_be_other_data = data == nullptr && !job.upload.confirmed(ObjectRole::data) &&
                                   segment.seal.summary.events > 0 &&
                                   segment.settings.converter_version != options_.converter_version;
    const MonotonicTime from = started_at_ + kSignatureLife;
    if (may_be_other_data && outside_.clock.now() < from) {
      job.not_before = from;
      return;
    }
    if (job.upload.complete_in_store()) {
      job.all_found = true;
      begin_ending(job, Ending::done);
      return;
    }
    if (job.upload.decided_otherwise()) {
      refuse_to_mix(job);
      return;
    }
  }
  for (const ObjectRole role : {ObjectRole::raw, ObjectRole::reasons, ObjectRole::segment}) {
    job.upload.allow_publish(role);
  }
  job.quarantine_released = true;
}

void Uploader::refuse_to_mix(Job& job) {
  job.reason =
      "the store has some of its objects, made by another decision on what to reject, as after a "
      "restored backup of the spool or under another version";
  begin_ending(job, Ending::set_aside);
}

void Uploader::begin_leftovers() {
  if (options_.leftover_prefixes.empty() || !outside_.store.capabilities().metadata) {
    return;
  }
  leftovers_ = LeftoverUploads::make(
      {.prefixes = options_.leftover_prefixes,
       .is_ours =
           [this](std::string_view key) {
             const auto parts = parse_object_key(key);
             return parts && is_known_segment(parts->segment);
           }},
      {.store = outside_.store, .gate = gate_, .backoff = backoff_, .clock = outside_.clock});
  gate_.hold_multipart();
}

void Uploader::end_leftovers() {
  if (leftovers_->listed()) {
    gate_.allow_multipart();
  }
  if (!leftovers_->done()) {
    return;
  }
  if (leftovers_->error()) {
    log::warning("leftover uploads not aborted",
                 {{"error", describe(*leftovers_->error())},
                  {"advice",
                   "allow s3:ListBucketMultipartUploads and s3:AbortMultipartUpload, or set a "
                   "lifecycle rule that aborts incomplete uploads"}});
  } else if (leftovers_->aborted() > 0) {
    log::info("leftover uploads aborted", {{"uploads", leftovers_->aborted()}});
  }
  leftovers_.reset();
  ledger_segments_.reset();
}

// In this stream's folder, or in its lines of the ledger: the uid in it is random, so no other
// instance has it, and the other stream's Upload may be at work on its own.
bool Uploader::is_known_segment(const SegmentId& id) {
  StreamDirectory& stream = outside_.stream;
  if (stream.filesystem().info(segment_path(stream.path(), id))) {
    return true;
  }
  if (!ledger_segments_) {
    ledger_segments_.emplace();
    (void)read_ledger(stream.filesystem(), outside_.ledger.directory(), [&](const auto& entry) {
      if (entry.stream == stream.stream()) {
        ledger_segments_->insert(entry.segment);
      }
      return true;
    }).ok();
  }
  return ledger_segments_->contains(id);
}

}  // namespace sluice
