#include "stages/upload.h"

#include <algorithm>

#include "common/log/log.h"
#include "common/spool/segment_files.h"

namespace sluice {
namespace {

using State = ObjectUpload::State;

// finish() looks at the stop flag at least this often.
constexpr std::chrono::milliseconds kStopLook{200};

}  // namespace

Uploader::Uploader(UploadOptions options, Outside outside)
    : options_(options),
      outside_(outside),
      started_at_(outside.clock.now()),
      gate_({.concurrency = std::max<std::size_t>(options.concurrency, 1),
             .probe_interval = options.probe_interval}),
      backoff_({.base = options.retry_base_delay, .cap = options.retry_cap, .seed = options.seed}) {
  begin_leftovers();
}

// ---- the worker ---------------------------------------------------------------------------------

Status Uploader::process(ConvertedBlock block, Outbox<SegmentOutcome>& out) {
  Job& job = job_of(block.segment);
  job.upload.add(std::move(block));
  blocks_taken_ += 1;
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
  if (leftovers_ != nullptr) {
    earliest = std::min(earliest, leftovers_->wake_at());
  }
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
                      before == confirmed_.end() ? PerObjectRole{} : before->second.objects));
    job->looking = segment->found_at_start;
    if (before != confirmed_.end() && before->second.lost > 0) {
      job->not_before = outside_.clock.now() + backoff_.delay(before->second.lost, {});
    }
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
                   : job.ending == Ending::parked    ? SegmentOutcome::Kind::parked
                                                     : SegmentOutcome::Kind::postponed;
    if (outcome.kind == SegmentOutcome::Kind::parked) {
      parked_[job.upload.segment().settings.quarantine_prefix].insert(entry->first);
    } else if (outcome.kind != SegmentOutcome::Kind::postponed) {
      confirmed_.erase(entry->first);
    }
    entry = jobs_.erase(entry);
    segments_open_.store(jobs_.size());
    if (!out.push(outcome)) {
      return cancelled();
    }
  }
  release_parked(out);
  start_requests();
  report_conditions();
  outside_.starved_after.store(starved() ? blocks_taken_ : kUploadBusy);
  return {};
}

// Those whose prefix takes objects again, and one an interval as the probe of a prefix that did
// not. Never waits: Rotate may have ended by now.
void Uploader::release_parked(Outbox<SegmentOutcome>& out) {
  const MonotonicTime now = outside_.clock.now();
  for (auto& [prefix, segments] : parked_) {
    while (!segments.empty() && !gate_.closed(prefix, now)) {
      SegmentOutcome outcome{.id = *segments.begin(),
                             .stream = outside_.stream.stream(),
                             .kind = SegmentOutcome::Kind::postponed};
      const bool is_probe = gate_.held(prefix);
      if ((is_probe && gate_.holds().at(prefix).probe_granted) || !out.try_push(outcome)) {
        break;
      }
      segments.erase(segments.begin());
      if (is_probe) {
        (void)gate_.grant_probe(prefix, now);
      }
    }
  }
}

void Uploader::start_requests() {
  if (leftovers_ != nullptr) {
    (void)leftovers_->start_next();
    end_leftovers();
  }
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

bool Uploader::starved() const {
  return std::all_of(jobs_.begin(), jobs_.end(), [](const auto& entry) {
    const SegmentUpload& upload = entry.second->upload;
    return !upload.whole() &&
           std::all_of(kObjectRoles.begin(), kObjectRoles.end(), [&](ObjectRole role) {
             return upload.object(role) == nullptr || upload.object(role)->starved();
           });
  });
}

// ---- one segment --------------------------------------------------------------------------------

void Uploader::advance(Job& job) {
  if (job.ending != Ending::none || outside_.clock.now() < job.not_before) {
    return;
  }
  settle_objects(job);
  if (job.ending == Ending::none) {
    let_go_of_quarantine(job);
  }
  if (job.ending == Ending::none && job.looking) {
    settle_lookups(job);
  }
  if (job.ending == Ending::none && job.upload.whole() && !job.looking && !job.rejects_settled) {
    settle_rejects(job);
  }
  if (job.ending == Ending::none && job.rejects_settled && !job.quarantine_released) {
    release_quarantine(job);
  }
  if (job.ending == Ending::none && job.upload.all_done()) {
    if (job.upload.segment().raw) {
      set_raw_aside(job);
    } else {
      begin_ending(job, Ending::done);
    }
  } else if (job.ending == Ending::none && only_quarantine_is_held(job)) {
    begin_ending(job, Ending::parked);
  }
}

// While its prefix takes nothing, rejected bytes would fill the memory that the data needs: they
// are read from the spool again when it does.
void Uploader::let_go_of_quarantine(Job& job) {
  const SegmentSettings& settings = job.upload.segment().settings;
  const auto idle = [&](ObjectRole role) {
    return job.upload.object(role) == nullptr || job.upload.object(role)->idle();
  };
  const bool has_some = job.upload.segment().raw || !job.upload.rejects().rejects.empty();
  if (!job.looking && !job.upload.whole() && has_some && idle(ObjectRole::raw) &&
      idle(ObjectRole::reasons) && idle(ObjectRole::segment) &&
      settings.quarantine_prefix != settings.prefix &&
      gate_.closed(settings.quarantine_prefix, outside_.clock.now())) {
    job.upload.drop_quarantine();
  }
}

void Uploader::settle_objects(Job& job) {
  for (const ObjectRole role : kObjectRoles) {
    const auto& upload = job.upload.object(role);
    if (upload == nullptr || (role != ObjectRole::data && job.upload.quarantine_dropped())) {
      continue;
    }
    if (upload->state() == State::refused || upload->state() == State::differs) {
      set_aside(job, *upload);
      return;
    }
    if (upload->state() == State::yielded || upload->giving_up()) {
      if (upload->lost()) {
        confirmed_[job.upload.segment().id].lost += 1;
      }
      begin_ending(job, Ending::postponed);
      return;
    }
  }
}

void Uploader::settle_rejects(Job& job) {
  const SealedSegment& segment = job.upload.segment();
  if (job.upload.decided_otherwise()) {
    refuse_to_mix(job);
    return;
  }
  job.upload.forget_unneeded();
  const auto& data = job.upload.object(ObjectRole::data);
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
  job.upload.allow_publish(ObjectRole::data);
}

bool Uploader::only_quarantine_is_held(const Job& job) const {
  bool held = false;
  for (const ObjectRole role : kObjectRoles) {
    const auto& upload = job.upload.object(role);
    if (upload == nullptr || upload->state() == State::done) {
      continue;
    }
    const bool is_held = job.upload.quarantine_dropped() ||
                         (gate_.closed(upload->prefix(), outside_.clock.now()) &&
                          upload->prefix() != job.upload.segment().settings.prefix);
    if (role == ObjectRole::data || !upload->idle() || !is_held) {
      return false;
    }
    held = true;
  }
  return held && job.upload.whole();
}

void Uploader::begin_ending(Job& job, Ending ending) {
  job.ending = ending;
  if (ending != Ending::done) {
    write_lines(job);
  }
  if (ending == Ending::postponed || ending == Ending::parked) {
    Confirmed& confirmed = confirmed_[job.upload.segment().id];
    for (const ObjectRole role : kObjectRoles) {
      const auto& upload = job.upload.object(role);
      if (upload != nullptr && upload->state() == State::done) {
        confirmed.objects[index_of(role)] = true;
      }
    }
  }
  job.upload.drop();
}

// The store has it as it is; what it needs is a person.
void Uploader::set_raw_aside(Job& job) {
  job.reason = "the process died of it again and again; the store has it as " +
               job.upload.object(ObjectRole::segment)->key();
  begin_ending(job, Ending::set_aside);
}

void Uploader::set_aside(Job& job, const ObjectUpload& upload) {
  job.answer = describe(upload.last_error());
  job.reason = upload.state() == State::differs
                   ? "the store has another object under " + upload.key()
                   : "the store refuses " + upload.key();
  begin_ending(job, Ending::set_aside);
}

}  // namespace sluice
