#include "stages/spool.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/log/log.h"
#include "common/spool/segment_files.h"

namespace sluice {
namespace {

// Between the records of a group and the end of its segment's allocation.
constexpr std::uint64_t kAllocationSlackBytes = 256 * kKiB;

// A client that waits before it goes on; other ends are only noted.
bool is_waited_for(const Batch& batch) {
  return batch.end == ConnectionEnd::finished || !batch.replies.empty();
}

bool makes_record(const Batch& batch) { return batch.run_bytes > 0 || !batch.pieces.empty(); }

}  // namespace

Spooler::Spooler(Options options, Links links) : options_(options), links_(std::move(links)) {}

Status Spooler::process(SpoolInput input, Outbox<FinishedSegment>& out) {
  if (auto* request = std::get_if<SealNow>(&input)) {
    seal_asked_ = request->drain ? "drain" : "request";
    return trouble_ ? Status() : commit(out);
  }
  if (std::holds_alternative<ReopenLog>(input)) {
    reopen_log();
    return {};
  }
  auto* batch = std::get_if<Batch>(&input);
  if (batch == nullptr) {
    return {};
  }
  if (pending_.empty()) {
    pending_since_ = now();
  }
  pending_bytes_ += makes_record(*batch)
                        ? batch->run_bytes + batch->pieces.size() * kPieceBytes +
                              kRecordHeaderBytes + batch->connection->client_name.size()
                        : 0;
  somebody_waits_ = somebody_waits_ || is_waited_for(*batch);
  pending_.push_back(std::move(*batch));
  if (gave_up_) {
    drop_pending();
    return {};
  }
  if (trouble_) {
    return {};
  }
  // A batch without events waits for its forerunners, not for a sync.
  const bool nothing_to_write = pending_bytes_ == 0;
  const bool due = pending_bytes_ >= commit_bytes() ||
                   (!somebody_waits_ && now() - pending_since_ >= options_.sync_interval);
  return nothing_to_write || due ? commit(out) : Status();
}

Status Spooler::on_idle(Outbox<FinishedSegment>& out) {
  if (links_.draining.load() && !draining_since_) {
    draining_since_ = now();
  }
  if (trouble_) {
    if (now() >= trouble_->retry_at) {
      if (Status status = commit(out); !status) {
        return status;
      }
    }
    return give_up_if_draining();
  }
  if (!pending_.empty() && (somebody_waits_ || now() >= pending_since_ + options_.sync_interval)) {
    return commit(out);
  }
  if (pending_.empty()) {
    if (Status status = switch_if_due(out); !status) {
      return note_trouble(status.error(), links_.log->path());
    }
  }
  return {};
}

Status Spooler::finish(Outbox<FinishedSegment>& out) {
  seal_asked_ = seal_asked_.value_or("drain");
  if (Status status = commit(out); !status) {
    return status;
  }
  if (trouble_) {
    drop_pending();
  }
  if (current_ && current_->failed) {
    // Left unsealed, recovery would find it: the next start keeps what verifies.
    if (Status status = seal_failed(out); !status) {
      log::error("abandoned segment not sealed", {{"error", status.error().message}});
    }
  } else if (current_ && current_->writer.has_records()) {
    // Unsealed too: what the log file lacks is made from there.
    if (Status status = finish_segment("drain", out); !status) {
      log::error("segment not sealed", {{"error", status.error().message}});
    }
  }
  return {};
}

MonotonicTime Spooler::wake_at() const {
  if (trouble_) {
    return trouble_->retry_at;
  }
  MonotonicTime at = MonotonicTime::max();
  if (!pending_.empty()) {
    at = pending_since_ + options_.sync_interval;
  }
  // What is pending comes first; a failed segment waits for its seal.
  if (pending_.empty() && current_ && !current_->failed && current_->writer.has_records()) {
    at = std::min(at, current_->first_record_at + options_.segment_age);
  }
  return at;
}

// Less than a group where the segment is nearly full, so that small segments stay small.
std::uint64_t Spooler::commit_bytes() const {
  const std::uint64_t in_segment = current_ ? current_->writer.run_bytes() : 0;
  const std::uint64_t left = run_bytes_wanted() - std::min(run_bytes_wanted(), in_segment);
  return std::clamp<std::uint64_t>(left, 1, options_.sync_bytes);
}

// Makes everything pending durable and answers for it, or notes why that cannot be. Fatal when it
// could not be for too long.
Status Spooler::commit(Outbox<FinishedSegment>& out) {
  if (pending_bytes_ > 0 && !to_log_) {
    Status status = write_group(out);
    if (!status && !no_space(status.error())) {
      // Once more at once, in a new segment: one bad file is not yet a bad disk.
      log::error("segment write failed",
                 {{"stream", std::string(to_string(links_.stream.stream()))},
                  {"error", status.error().message}});
      status = write_group(out);
    }
    if (!status) {
      return note_trouble(status.error(), links_.stream.path());
    }
    count_durable();
  }
  if (Status status = write_log(); !status) {
    return note_trouble(status.error(), links_.log->path());
  }
  release_replies(true);
  if (Status status = switch_if_due(out); !status) {
    return note_trouble(status.error(), links_.log->path());
  }
  end_trouble();
  return {};
}

Status Spooler::write_group(Outbox<FinishedSegment>& out) {
  if (current_ && current_->failed) {
    if (Status status = seal_failed(out); !status) {
      return status;
    }
  }
  std::size_t pieces = 0;
  for (const Batch& batch : pending_) {
    pieces += batch.pieces.size();
  }
  if (current_ && current_->writer.has_records() &&
      (current_->writer.group_offset() + pending_bytes_ > options_.segment_bytes_max ||
       !current_->writer.has_room_for(pieces))) {
    if (Status status = finish_segment("size", out); !status) {
      return status;
    }
  }
  if (!current_) {
    if (Status status = open_segment(); !status) {
      return status;
    }
  }
  SegmentWriter& writer = current_->writer;
  writer.begin_group();
  for (const Batch& batch : pending_) {
    if (makes_record(batch)) {
      SegmentWriter::Record record;
      record.run = batch.run;
      record.run_bytes = batch.run_bytes;
      record.pieces = batch.pieces;
      record.events = batch.events;
      record.received_at = batch.first_byte_at;
      record.connection_id = batch.connection->id;
      record.peer = batch.connection->peer;
      record.client_name = batch.connection->client_name;
      writer.add(record);
    }
  }
  return write_and_sync();
}

Status Spooler::write_and_sync() {
  SegmentWriter& writer = current_->writer;
  const auto discard = [&](const Status& status) {
    writer.discard_group();
    return status;
  };
  if (Status status = write_all(*current_->file, writer.parts(), writer.group_offset()); !status) {
    // On a full disk the same bytes go to the same place once there is room.
    current_->failed = !no_space(status.error());
    return discard(status);
  }
  const MonotonicTime before = now();
  if (Status status = current_->file->fdatasync(); !status) {
    current_->failed = true;
    return discard(status);
  }
  links_.books.sync_nanoseconds += static_cast<std::uint64_t>((now() - before).count());
  ++links_.books.group_commits;
  if (!writer.has_records()) {
    current_->first_record_at = pending_since_;
  }
  writer.group_durable();
  return {};
}

Status Spooler::open_segment() {
  StreamDirectory& stream = links_.stream;
  std::optional<SegmentId> id;
  std::unique_ptr<File> file;
  while (auto prepared = links_.prepared.try_pop()) {
    if (prepared->id.num >= stream.writing_num.load()) {
      id = prepared->id;
      file = std::move(prepared->file);
      break;
    }
    // Numbered below one that we made ourselves: numbers only grow.
    (void)stream.filesystem().unlink(segment_path(stream.path(), prepared->id)).ok();
  }
  if (!id) {
    ++stream.made_by_writer;
    auto made = stream.create_segments(
        1, std::min(run_bytes_wanted() + options_.sync_bytes + kAllocationSlackBytes,
                    options_.segment_bytes_max));
    if (!made) {
      return made.error();
    }
    id = made->front().header.id;
    file = std::move(made->front().file);
  }
  stream.writing_num.store(id->num);
  current_.emplace(OpenSegment{*id, std::move(file), SegmentWriter(stream.header_of(*id))});
  return {};
}

// The side seal is durable before anything that it cuts off is written elsewhere.
Status Spooler::seal_failed(Outbox<FinishedSegment>& out) {
  SegmentSeal seal;
  seal.side_file = true;
  seal.summary = current_->writer.summary();
  if (seal.summary.records > 0) {
    seal.kept = {{kRecordsBegin, seal.summary.end}};
  }
  if (Status status = write_side_seal(links_.stream, current_->id, seal); !status) {
    return status;
  }
  if (Status status = sync_log(); !status) {
    return status;
  }
  ++links_.books.segments_abandoned;
  log::error("segment abandoned", {{"segment", to_string(current_->id)},
                                   {"stream", std::string(to_string(links_.stream.stream()))},
                                   {"durable_bytes", seal.summary.end}});
  FinishedSegment finished;
  finished.id = current_->id;
  finished.stream = links_.stream.stream();
  finished.summary = seal.summary;
  finished.abandoned = true;
  finished.reason = "fault";
  hand_over(std::move(finished), out);
  return {};
}

// Of everything pending, which now lies in the current segment.
void Spooler::count_durable() {
  Books& books = links_.books;
  std::uint64_t pieces = 0;
  for (const Batch& batch : pending_) {
    if (makes_record(batch)) {
      ++books.batches_spooled;
      books.bytes_in_records += batch.run_bytes;
      books.events_durable += batch.events;
      books.malformed_durable += batch.pieces.size() - batch.events;
      books.pieces_in_spool += batch.pieces.size();
      pieces += batch.pieces.size();
    }
  }
  if (links_.log != nullptr) {
    to_log_ = sequence_of(current_->id.num, 0) + current_->writer.pieces() - pieces;
  }
  if (current_ && current_->writer.pieces() > 0) {
    links_.stream.durable_sequence.store(
        sequence_of(current_->id.num, static_cast<std::uint32_t>(current_->writer.pieces() - 1)));
  }
}

// At which the current segment is switched. A ratio that was learnt from little does not make
// segments a thousand times as long.
std::uint64_t Spooler::run_bytes_wanted() const {
  if (!options_.size_is_of_object) {
    return options_.segment_run_bytes;
  }
  const double ratio = std::clamp(links_.object_ratio.value(), 1.0 / 64, 64.0);
  const double wanted = static_cast<double>(options_.segment_run_bytes) / ratio;
  return static_cast<std::uint64_t>(
      std::clamp(wanted, 1.0, static_cast<double>(options_.segment_bytes_max)));
}

Status Spooler::switch_if_due(Outbox<FinishedSegment>& out) {
  std::string reason = seal_asked_.value_or("");
  if (!current_ || current_->failed || !current_->writer.has_records()) {
    seal_asked_.reset();
    return {};
  }
  if (reason.empty() && current_->writer.run_bytes() >= run_bytes_wanted()) {
    reason = "size";
  } else if (reason.empty() && now() - current_->first_record_at >= options_.segment_age) {
    reason = "age";
  } else if (reason.empty() && links_.at_watermark.load()) {
    reason = "watermark";
  }
  if (reason.empty()) {
    return {};
  }
  Status status = finish_segment(std::move(reason), out);
  if (status) {
    seal_asked_.reset();
  }
  return status;
}

// Transient: the log file cannot be synced; the segment stays the current one.
Status Spooler::finish_segment(std::string reason, Outbox<FinishedSegment>& out) {
  if (Status status = sync_log(); !status) {
    return status;
  }
  FinishedSegment finished;
  finished.id = current_->id;
  finished.stream = links_.stream.stream();
  finished.file = std::move(current_->file);
  finished.summary = current_->writer.summary();
  finished.reason = std::move(reason);
  ++links_.books.segments_switched;
  log::info("segment rotated", {{"stream", std::string(to_string(finished.stream))},
                                {"segment", to_string(finished.id)},
                                {"reason", finished.reason},
                                {"events", finished.summary.events},
                                {"malformed", finished.summary.malformed},
                                {"bytes", finished.summary.run_bytes}});
  hand_over(std::move(finished), out);
  return {};
}

// From here on the segment is Rotate's, whether it hears of it now or lists it later.
void Spooler::hand_over(FinishedSegment segment, Outbox<FinishedSegment>& out) {
  StreamDirectory& stream = links_.stream;
  stream.note_finished(segment.id.num, segment.summary.pieces());
  current_.reset();
  const std::uint64_t next = segment.id.num + 1;
  const bool handed = out.try_push(segment);
  // Only now may a listing find it: Rotate could be through with it before it is told.
  stream.writing_num.store(next);
  if (!handed) {
    segment.file.reset();
    ++stream.finished_unhanded;
  }
}

}  // namespace sluice
