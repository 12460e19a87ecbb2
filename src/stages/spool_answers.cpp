// What Spool answers, and what it does while a disk takes nothing: its own, or the log file's.
#include <cerrno>
#include <system_error>
#include <utility>

#include "common/log/log.h"
#include "stages/spool.h"

namespace sluice {
namespace {

constexpr std::string_view kDiskFull = "spool.disk_full";
constexpr std::string_view kDiskFailing = "spool.disk_failing";

bool expects_reply(const Batch& batch) {
  return batch.end != ConnectionEnd::open || !batch.replies.empty();
}

}  // namespace

bool Spooler::no_space(const Error& error) { return error.code == ENOSPC || error.code == EDQUOT; }

// The lines of what is durable and pending, before they are answered.
Status Spooler::write_log() {
  if (to_log_) {
    if (Status status = links_.log->append(pending_, *to_log_); !status) {
      return status;
    }
    to_log_.reset();
  }
  return {};
}

// Before the current segment is given away.
Status Spooler::sync_log() {
  if (links_.log == nullptr) {
    return {};
  }
  return links_.log->sync(sequence_of(current_->id.num, 0) + current_->writer.pieces());
}

void Spooler::reopen_log() const {
  if (links_.log == nullptr) {
    return;
  }
  if (Status status = links_.log->reopen(); !status) {
    log::error("log file not reopened", {{"error", status.error().message}});
  }
}

// In batch order. Takes everything that is pending with it.
void Spooler::release_replies(bool durable) {
  for (Batch& batch : pending_) {
    if (expects_reply(batch)) {
      links_.reply({std::move(batch.connection), durable ? std::move(batch.replies) : "", batch.end,
                    durable, std::move(batch.replies_charge), std::move(batch.in_flight)});
    }
  }
  pending_.clear();
  pending_bytes_ = 0;
  somebody_waits_ = false;
}

void Spooler::drop_pending() {
  for (const Batch& batch : pending_) {
    if (!to_log_) {  // else they are in the spool, though nobody is told
      links_.books.bytes_dropped_unacked += batch.run_bytes;
      links_.books.pieces_dropped_unacked += batch.pieces.size();
    }
  }
  to_log_.reset();
  release_replies(false);
}

Status Spooler::note_trouble(const Error& error, const Path& where) {
  const bool full = no_space(error);
  if (!trouble_) {
    trouble_.emplace();
  }
  trouble_->retry_at = now() + options_.retry_interval;
  if (full) {
    trouble_->failing_since.reset();
    links_.conditions.raise(kDiskFull, Conditions::Severity::not_ready,
                            "the disk of " + where.string() +
                                " is full: reading stopped, nothing is lost; free some space");
    return {};
  }
  trouble_->failing_since = trouble_->failing_since.value_or(now());
  links_.conditions.raise(kDiskFailing, Conditions::Severity::not_ready,
                          "the disk of " + where.string() + " refuses writes (" +
                              std::generic_category().message(error.code) +
                              "): reading stopped, trying again each second");
  if (now() - *trouble_->failing_since >= options_.disk_failure_timeout) {
    return fatal("spool: the disk failed for too long: " + error.message, error.code);
  }
  return {};
}

void Spooler::end_trouble() {
  if (trouble_) {
    trouble_.reset();
    links_.conditions.clear(kDiskFull);
    links_.conditions.clear(kDiskFailing);
  }
}

Status Spooler::give_up_if_draining() {
  if (trouble_ && draining_since_ && now() >= *draining_since_ + options_.drain_patience) {
    log::error("unacknowledged events dropped: the disk takes nothing and we are stopping",
               {{"batches", pending_.size()}});
    gave_up_ = true;
    trouble_.reset();
    drop_pending();
  }
  return {};
}

}  // namespace sluice
