// The end of a segment in Upload: its ledger lines are written, and it is unlinked, set aside, or
// given back to Rotate. Each step may meet a disk that refuses, and is then tried again.
#include "common/log/log.h"
#include "common/spool/segment_files.h"
#include "stages/upload.h"

namespace sluice {
namespace {

constexpr std::chrono::seconds kDiskRetry{1};

constexpr std::string_view kSpoolWrite = "spool.upload_files";

}  // namespace

bool Uploader::may_end(const Job& job) const {
  return job.ending != Ending::none && job.upload.whole() && job.upload.all_idle() &&
         outside_.clock.now() >= job.not_before;
}

bool Uploader::end(Job& job) {
  switch (job.ending) {
    case Ending::none:
      return false;
    case Ending::done:
      return end_done(job);
    case Ending::postponed:
    case Ending::parked:
      return true;
    case Ending::set_aside:
      return end_set_aside(job);
  }
  return false;
}

bool Uploader::end_done(Job& job) {
  const SealedSegment& segment = job.upload.segment();
  // Its number must not be given again: a later one has to be on the disk first.
  if (segment.id.num >= outside_.stream.newest_durable_num()) {
    job.not_before = outside_.clock.now() + kDiskRetry;
    return false;
  }
  const Status gone = job.upload.damaged_bytes() == 0 ? unlink_segment(outside_.stream, segment.id)
                                                      : keep_damaged(job);
  if (!disk_did(gone, job, "an uploaded segment cannot be removed")) {
    return false;
  }
  count_done(job);
  return true;
}

// Every record that verifies is in the store; what does not is kept for whoever can repair it.
Status Uploader::keep_damaged(const Job& job) {
  const SegmentId id = job.upload.segment().id;
  const std::string bytes = std::to_string(job.upload.damaged_bytes());
  outside_.conditions.raise("spool.damaged:" + to_string(id), Conditions::Severity::alarm,
                            bytes + " bytes of segment " + to_string(id) +
                                " no longer verify: look at the disk. All other events are "
                                "uploaded; the segment is kept in " +
                                outside_.stream.quarantine().string());
  return set_segment_aside(outside_.stream, id,
                           {.reason = bytes + " bytes no longer verify; the rest is uploaded",
                            .answer = "",
                            .events = job.upload.segment().seal.summary.events,
                            .malformed = job.upload.segment().seal.summary.malformed,
                            .delivered = true});
}

// Evidence, not truth: a full disk does not keep the segment that fills it.
void Uploader::flush_ledger() {
  if (outside_.ledger.pending() == 0 || outside_.clock.now() < ledger_not_before_) {
    return;
  }
  if (Status flushed = outside_.ledger.flush(); !flushed) {
    ledger_not_before_ = outside_.clock.now() + kDiskRetry;
    log::limited(log::Level::warning, "ledger not written", {{"error", flushed.error().message}});
  }
}

bool Uploader::end_set_aside(Job& job) {
  const SealedSegment& segment = job.upload.segment();
  const SetAside why{.reason = job.reason,
                     .answer = job.answer,
                     .events = segment.seal.summary.events,
                     .malformed = segment.seal.summary.malformed};
  if (!disk_did(set_segment_aside(outside_.stream, segment.id, why), job,
                "a segment cannot be set aside")) {
    return false;
  }
  outside_.books.pieces_set_aside.fetch_add(segment.seal.summary.pieces(),
                                            std::memory_order_relaxed);
  const Path file = outside_.stream.quarantine() / segment.path.filename();
  outside_.conditions.raise(
      segment.raw ? crashing_condition(segment.id) : "upload.set_aside:" + to_string(segment.id),
      Conditions::Severity::alarm,
      "segment " + to_string(segment.id) + " was set aside: " + job.reason + ". " +
          (job.answer.empty() ? std::string() : job.answer + " ") + "`sluice spool cat " +
          file.string() + "` prints its events. Once the cause is gone, stop the server and run: " +
          replay_command_of(segment.id));
  return true;
}

// False: try again later; nothing else waits for it.
bool Uploader::disk_did(const Status& status, Job& job, std::string_view what) {
  if (status) {
    outside_.conditions.clear(kSpoolWrite);
    return true;
  }
  job.not_before = outside_.clock.now() + kDiskRetry;
  outside_.conditions.raise(kSpoolWrite, Conditions::Severity::alarm,
                            std::string(what) + ": " + status.error().message +
                                ". Check the spool's file system; it is tried again each second.");
  return false;
}

}  // namespace sluice
