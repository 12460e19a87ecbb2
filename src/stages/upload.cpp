#include "stages/upload.h"

#include <algorithm>

#include "common/log/log.h"
#include "common/s3/sigv4.h"
#include "common/spool/segment_files.h"

namespace sluice {
namespace {

using State = ObjectUpload::State;

constexpr std::chrono::seconds kDiskRetry{1};
// A store that failed this often in a row, with no success between, is down.
constexpr std::uint64_t kFailuresToAlarm = 3;
// finish() looks at the stop flag at least this often.
constexpr std::chrono::milliseconds kStopLook{200};

constexpr std::string_view kUnavailable = "store.unavailable";
constexpr std::string_view kSpoolWrite = "spool.upload_files";

std::string held_condition(const std::string& prefix) { return "store.refused:" + prefix; }

void add(Books::Counter& counter, std::uint64_t by) {
  counter.fetch_add(by, std::memory_order_relaxed);
}

}  // namespace

Uploader::Uploader(UploadOptions options, Outside outside)
    : options_(options),
      outside_(outside),
      gate_({.concurrency = std::max<std::size_t>(options.concurrency, 1),
             .probe_interval = options.probe_interval}),
      backoff_({.base = options.retry_base_delay, .cap = options.retry_cap, .seed = options.seed}) {
}

// ---- the worker ---------------------------------------------------------------------------------

Status Uploader::process(ConvertedBlock block, Outbox<SegmentOutcome>& out) {
  job_of(block.segment).upload.add(std::move(block));
  // Input may never pause: answers are taken in between.
  outside_.store.poll(outside_.clock.now());
  return drive(out);
}

Status Uploader::on_idle(Outbox<SegmentOutcome>& out) { return drive(out); }

Status Uploader::finish(Outbox<SegmentOutcome>& out) {
  for (;;) {
    if (Status status = drive(out); !status) {
      return status;
    }
    const bool waiting = std::any_of(jobs_.begin(), jobs_.end(), [](const auto& entry) {
      return entry.second->upload.whole() && entry.second->ending != Ending::parked;
    });
    if (!waiting || stopping()) {
      flush_ledger();
      return {};
    }
    outside_.store.poll(std::min(wake_at(), outside_.clock.now() + kStopLook));
  }
}

MonotonicTime Uploader::wake_at() const {
  // A probe that is due and was not taken has nobody to take it.
  const MonotonicTime probe_at = gate_.probe_at();
  MonotonicTime earliest = probe_at > outside_.clock.now() ? probe_at : MonotonicTime::max();
  for (const auto& [id, job] : jobs_) {
    if (job->not_before > outside_.clock.now()) {
      earliest = std::min(earliest, job->not_before);
    }
    for (const ObjectRole role : kObjectRoles) {
      if (const auto& upload = job->upload.object(role)) {
        earliest = std::min(earliest, upload->wake_at());
      }
    }
  }
  return earliest;
}

Uploader::Job& Uploader::job_of(const SealedSegmentPtr& segment) {
  std::unique_ptr<Job>& job = jobs_[segment->id];
  if (job == nullptr) {
    const auto before = confirmed_.find(segment->id);
    job = std::make_unique<Job>(
        SegmentUpload(segment,
                      {.part_bytes = options_.part_bytes,
                       .refusals_max = options_.refusals_max,
                       .failures_to_yield = options_.failures_to_postpone},
                      {.store = outside_.store,
                       .gate = gate_,
                       .backoff = backoff_,
                       .clock = outside_.clock,
                       .observer = *this},
                      before == confirmed_.end() ? std::array<bool, 3>{} : before->second.objects));
    job->looking = segment->found_at_start;
    if (segment->settings.quarantine_prefix != segment->settings.prefix) {
      quarantine_prefixes_.insert(segment->settings.quarantine_prefix);
    }
    segments_open_.store(jobs_.size());
  }
  return *job;
}

Status Uploader::drive(Outbox<SegmentOutcome>& out) {
  for (const auto& [id, job] : jobs_) {
    advance(*job);
    if (job->ending == Ending::done && may_end(*job) && !job->lines_written) {
      write_lines(*job);
      job->lines_written = true;
    }
  }
  flush_ledger();  // one sync for all that are done
  for (auto entry = jobs_.begin(); entry != jobs_.end();) {
    Job& job = *entry->second;
    if (!may_end(job) || !end(job)) {
      ++entry;
      continue;
    }
    SegmentOutcome outcome{.id = entry->first, .stream = job.upload.segment().stream};
    outcome.kind = job.ending == Ending::done        ? SegmentOutcome::Kind::done
                   : job.ending == Ending::set_aside ? SegmentOutcome::Kind::set_aside
                                                     : SegmentOutcome::Kind::postponed;
    if (outcome.kind != SegmentOutcome::Kind::postponed) {
      confirmed_.erase(entry->first);
    }
    entry = jobs_.erase(entry);
    segments_open_.store(jobs_.size());
    if (!out.push(outcome)) {
      return cancelled();
    }
  }
  start_requests();
  report_conditions();
  return {};
}

void Uploader::start_requests() {
  for (const auto& [id, job] : jobs_) {
    for (const ObjectRole role : kObjectRoles) {
      if (gate_.full()) {
        return;
      }
      if (const auto& upload = job->upload.object(role)) {
        while (upload->start_next()) {
        }
      }
    }
  }
}

// ---- one segment --------------------------------------------------------------------------------

void Uploader::advance(Job& job) {
  if (job.ending != Ending::none || outside_.clock.now() < job.not_before) {
    return;
  }
  settle_objects(job);
  if (job.ending == Ending::none && job.looking) {
    settle_lookups(job);
  }
  if (job.ending == Ending::none && job.upload.whole() && !job.rejects_settled) {
    settle_rejects(job);
  }
  if (job.ending == Ending::none && job.upload.all_done()) {
    begin_ending(job, Ending::done);
  } else if (job.ending == Ending::none && only_quarantine_is_held(job)) {
    begin_ending(job, Ending::parked);
  }
}

void Uploader::settle_objects(Job& job) {
  for (const ObjectRole role : kObjectRoles) {
    const auto& upload = job.upload.object(role);
    if (upload == nullptr) {
      continue;
    }
    if (upload->state() == State::refused || upload->state() == State::differs) {
      set_aside(job, *upload);
      return;
    }
    if (upload->state() == State::yielded || upload->giving_up()) {
      begin_ending(job, Ending::postponed);
      return;
    }
  }
}

// Nothing is sent before all answers are there: another object under one of the keys must keep the
// others from being made.
void Uploader::settle_lookups(Job& job) {
  if (!job.upload.looked()) {
    return;
  }
  job.looking = false;
  const auto& data = job.upload.object(ObjectRole::data);
  const bool complete = data != nullptr && data->found() &&
                        std::find(data->found()->metadata.begin(), data->found()->metadata.end(),
                                  std::pair<std::string, std::string>("rejected", "0")) !=
                            data->found()->metadata.end();
  if (complete) {
    // Nothing was rejected when that object was made: a stricter validator has no say any more.
    job.all_found = true;
    begin_ending(job, Ending::done);
    return;
  }
  job.upload.allow_send();
}

void Uploader::settle_rejects(Job& job) {
  const auto& data = job.upload.object(ObjectRole::data);
  const SealedSegment& segment = job.upload.segment();
  // An object in parts cannot say at its end what its metadata did not at its beginning: the list
  // is on disk even if it is empty.
  const bool needed = !segment.known_rejects && (!job.upload.rejects().rejects.empty() ||
                                                 (data != nullptr && data->is_multipart()));
  if (needed) {
    const Status written = write_rejects(outside_.stream, segment.id, job.upload.rejects());
    if (!disk_did(written, job, "the list of rejected pieces cannot be written")) {
      return;
    }
  }
  job.rejects_settled = true;
  job.upload.allow_publish();
}

bool Uploader::only_quarantine_is_held(const Job& job) const {
  bool held = false;
  for (const ObjectRole role : kObjectRoles) {
    const auto& upload = job.upload.object(role);
    if (upload == nullptr || upload->state() == State::done) {
      continue;
    }
    if (role == ObjectRole::data || !upload->idle() ||
        !gate_.closed(upload->prefix(), outside_.clock.now()) ||
        upload->prefix() == job.upload.segment().settings.prefix) {
      return false;
    }
    held = true;
  }
  return held && job.upload.whole();
}

void Uploader::begin_ending(Job& job, Ending ending) {
  job.ending = ending;
  if (ending == Ending::postponed || ending == Ending::parked) {
    write_lines(job);
    Confirmed& confirmed = confirmed_[job.upload.segment().id];
    for (const ObjectRole role : kObjectRoles) {
      const auto& upload = job.upload.object(role);
      if (upload != nullptr && upload->state() == State::done) {
        confirmed.objects[static_cast<std::size_t>(role)] = true;
      }
    }
  }
  job.upload.drop();
}

void Uploader::set_aside(Job& job, const ObjectUpload& upload) {
  job.answer = describe(upload.last_error());
  job.reason = upload.state() == State::differs
                   ? "the store has another object under " + upload.key()
                   : "the store refuses " + upload.key();
  begin_ending(job, Ending::set_aside);
}

// ---- the end of a segment -----------------------------------------------------------------------

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
      return true;
    case Ending::parked: {
      const std::string& prefix = job.upload.segment().settings.quarantine_prefix;
      return !gate_.held(prefix) || gate_.grant_probe(prefix, outside_.clock.now());
    }
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
  if (!disk_did(unlink_segment(outside_.stream, segment.id), job,
                "an uploaded segment cannot be removed")) {
    return false;
  }
  count_done(job);
  return true;
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
  add(outside_.books.pieces_set_aside, segment.seal.summary.pieces());
  outside_.conditions.raise("upload.set_aside:" + to_string(segment.id),
                            Conditions::Severity::alarm,
                            "segment " + to_string(segment.id) + " was set aside in " +
                                outside_.stream.quarantine().string() + ": " + job.reason + " (" +
                                job.answer + "). Its events are in the .wal file there.");
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

void Uploader::write_lines(Job& job) {
  const SegmentUpload& upload = job.upload;
  const SegmentSummary& summary = upload.segment().seal.summary;
  for (const ObjectRole role : kObjectRoles) {
    const auto& object = upload.object(role);
    if (object == nullptr || object->state() != State::done) {
      continue;
    }
    // A lost reply is found as an object, too: then it was this process that stored it.
    const bool was_there = object->found() && object->attempts() <= 1;
    const std::uint64_t events = role == ObjectRole::data  ? upload.events()
                                 : role == ObjectRole::raw ? upload.rejects().rejects.size()
                                                           : 0;
    const std::uint64_t bytes =
        object->bytes() > 0 || !object->found() ? object->bytes() : object->found()->bytes;
    outside_.ledger.append(
        {.key = object->key(),
         .object = std::string(to_string(role)),
         .stream = upload.segment().stream,
         .segment = upload.segment().id,
         .bytes = bytes,
         .events = events,
         .sha256 = object->sha256() ? sigv4::hex(*object->sha256()) : std::string(),
         .etag = object->etag(),
         .digest = to_hex(summary.digest),
         .first_sequence = upload.first_sequence(),
         .last_sequence = upload.last_sequence(),
         .first_received_at = summary.first_received_at,
         .confirmed_at = outside_.clock.wall_now(),
         .metadata =
             outside_.store.capabilities().metadata ? ObjectMetadata{} : object->metadata()});
    add(was_there ? outside_.books.objects_found_done : outside_.books.objects_uploaded, 1);
    add(outside_.books.bytes_uploaded, was_there ? 0 : bytes);
    log::info("uploaded", {{"key", object->key()},
                           {"bytes", bytes},
                           {"events", events},
                           {"attempts", object->attempts()},
                           {"found", was_there ? std::string("yes") : std::string("no")}});
  }
}

void Uploader::count_done(const Job& job) {
  const std::uint64_t sealed = job.upload.segment().seal.summary.pieces();
  const std::uint64_t rejected = job.all_found ? 0 : job.upload.rejects().rejects.size();
  add(outside_.books.events_uploaded, job.all_found ? job.upload.pieces() : job.upload.events());
  add(outside_.books.pieces_quarantined, rejected);
  add(outside_.books.pieces_lost_to_damage,
      sealed > job.upload.pieces() ? sealed - job.upload.pieces() : 0);
  add(outside_.books.segments_done, 1);
}

// ---- what is wrong ------------------------------------------------------------------------------

void Uploader::on_attempt(const ObjectUpload& /*upload*/, bool again) {
  add(outside_.books.upload_attempts, 1);
  add(outside_.books.upload_retries, again ? 1 : 0);
}

void Uploader::on_failure(const ObjectUpload& upload, const StoreError& error,
                          std::chrono::milliseconds delay) {
  const bool refused = error.kind == StoreErrorKind::configuration ||
                       error.kind == StoreErrorKind::this_object || gate_.held(upload.prefix());
  log::limited(log::Level::warning, refused ? "upload refused" : "upload retry",
               {{"key", upload.key()},
                {"attempt", upload.attempts()},
                {"error", describe(error)},
                {"class", std::string(to_string(error.kind))},
                {"delay_ms", static_cast<std::int64_t>(delay.count())}});
  if (error.code == "EtagMismatch") {
    outside_.conditions.raise("store.checksum", Conditions::Severity::alarm,
                              "the store confirmed another checksum for " + upload.key() +
                                  " than that of the bytes sent; compare the object with "
                                  "`sluice audit`.");
  }
}

void Uploader::report_refused_prefixes() {
  for (auto known = refused_.begin(); known != refused_.end();) {
    const bool held = gate_.held(known->first);
    if (!held) {
      outside_.conditions.clear(held_condition(known->first));
    }
    known = held ? std::next(known) : refused_.erase(known);
  }
  for (const auto& [prefix, hold] : gate_.holds()) {
    const auto [known, is_new] = refused_.try_emplace(prefix, hold.error.code);
    if (!is_new && known->second == hold.error.code) {
      continue;
    }
    known->second = hold.error.code;
    const bool is_quarantine = quarantine_prefixes_.contains(prefix);
    outside_.conditions.raise(
        held_condition(prefix),
        is_quarantine ? Conditions::Severity::alarm : Conditions::Severity::not_ready,
        outside_.store.describe() + " refuses objects under \"" + prefix +
            "\": " + describe(hold.error) +
            (is_quarantine ? " Rejected bytes stay in the spool until then."
                           : " Events stay in the spool until then."));
  }
}

void Uploader::report_conditions() {
  report_refused_prefixes();
  const bool is_down = gate_.failures_in_a_row() >= kFailuresToAlarm;
  if (!is_down) {
    if (unavailable_) {
      outside_.conditions.clear(kUnavailable);
      unavailable_.reset();
    }
    return;
  }
  const StoreError& error = gate_.last_failure();
  if (unavailable_ == error.code) {
    return;  // its text may differ each time, in milliseconds say
  }
  unavailable_ = error.code;
  // A directory that is full needs an operator; a network may come back by itself.
  outside_.conditions.raise(
      kUnavailable,
      error.advice.empty() ? Conditions::Severity::alarm : Conditions::Severity::not_ready,
      outside_.store.describe() + " takes no objects: " + describe(error) +
          " Events stay in the spool; it is tried again for ever.");
}

}  // namespace sluice
