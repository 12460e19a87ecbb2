// What Upload tells: the ledger's lines, the books, the log and the conditions.
#include <algorithm>

#include "common/log/log.h"
#include "common/s3/sigv4.h"
#include "stages/upload.h"

namespace sluice {
namespace {

using State = ObjectUpload::State;

// A store that failed this often in a row, with no success between, is down.
constexpr std::uint64_t kFailuresToAlarm = 3;

constexpr std::uint32_t kMismatchesToAlarm = 3;

constexpr std::string_view kUnavailable = "store.unavailable";

std::string held_condition(const std::string& prefix) { return "store.refused:" + prefix; }

// In hex; empty where nobody knows it: of an object in parts.
std::string sha256_of(const ObjectUpload& object) {
  if (object.found()) {
    for (const auto& [name, value] : object.found()->metadata) {
      if (name == "sha256") {
        return value;
      }
    }
    if (object.attempts() == 0) {
      return {};
    }
  }
  return object.sha256() ? sigv4::hex(*object.sha256()) : std::string();
}

void add(Books::Counter& counter, std::uint64_t by) {
  counter.fetch_add(by, std::memory_order_relaxed);
}

}  // namespace

Uploader::~Uploader() {
  for (const auto& [prefix, code] : refused_) {
    outside_.conditions.clear(held_condition(prefix));
  }
  if (unavailable_) {
    outside_.conditions.clear(kUnavailable);
  }
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
    const std::uint64_t data_events = job.all_found ? upload.pieces() : upload.events();
    const std::uint64_t events = role == ObjectRole::data      ? data_events
                                 : role == ObjectRole::raw     ? upload.rejects().rejects.size()
                                 : role == ObjectRole::segment ? upload.pieces()
                                                               : 0;
    // What was found may have other bytes than ours would be: a newer compressor's.
    const std::uint64_t bytes =
        object->found() && object->found()->bytes > 0 ? object->found()->bytes : object->bytes();
    outside_.ledger.append({.key = object->key(),
                            .object = std::string(to_string(role)),
                            .stream = upload.segment().stream,
                            .segment = upload.segment().id,
                            .bytes = bytes,
                            .events = events,
                            .sha256 = sha256_of(*object),
                            .etag = object->etag(),
                            .digest = to_hex(summary.digest),
                            .first_sequence = upload.first_sequence(),
                            .last_sequence = upload.last_sequence(),
                            .first_received_at = summary.first_received_at,
                            .confirmed_at = outside_.clock.wall_now(),
                            .metadata = outside_.store.capabilities().metadata
                                            ? ObjectMetadata{}
                                            : object->metadata()});
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
  const auto& data = job.upload.object(ObjectRole::data);
  const std::uint64_t run_bytes = job.upload.segment().seal.summary.run_bytes;
  if (data != nullptr && !data->found() && data->bytes() > 0 && run_bytes > 0) {
    outside_.object_ratio.add(run_bytes, data->bytes());
  }
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
  if (upload.mismatches() >= kMismatchesToAlarm && confirmed_other_bytes(error)) {
    outside_.conditions.raise("store.checksum", Conditions::Severity::alarm,
                              "the store confirmed another checksum for " + upload.key() +
                                  " than that of the bytes sent, again and again; look at what "
                                  "stands between here and " +
                                  outside_.store.describe() + ".");
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
