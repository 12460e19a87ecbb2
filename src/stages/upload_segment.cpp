#include "stages/upload_segment.h"

#include <algorithm>
#include <charconv>

#include "common/base/check.h"
#include "common/base/utc_text.h"
#include "common/spool/reason_line.h"
#include "common/spool/segment_origin.h"

namespace sluice {
namespace {

constexpr std::string_view kSourceOfXml = "xml-stream-aggregator";
constexpr std::string_view kSourceOfLogs = "tcp-log-collection-server";

std::size_t cost_of(const std::vector<RejectedPiece>& pieces) {
  std::size_t bytes = 0;
  for (const RejectedPiece& piece : pieces) {
    bytes += piece.bytes.capacity() + piece.reason.capacity() + sizeof(RejectedPiece);
  }
  return bytes;
}

}  // namespace

std::string_view to_string(ObjectRole role) {
  switch (role) {
    case ObjectRole::data:
      return "data";
    case ObjectRole::raw:
      return "raw";
    case ObjectRole::reasons:
      return "reasons";
    case ObjectRole::segment:
      return "segment";
  }
  return "unknown";
}

std::string reason_line(const RejectedPiece& piece, std::uint64_t offset) {
  return to_json({.offset = offset,
                  .length = piece.bytes.size(),
                  .peer = piece.peer,
                  .received_at = piece.received_at,
                  .reason = piece.reason,
                  .position = ReasonLine::Position{piece.line, piece.column},
                  .sequence = piece.sequence,
                  .continues = piece.continues});
}

SegmentUpload::SegmentUpload(SealedSegmentPtr segment, Limits limits, ObjectUpload::Outside outside,
                             PerObjectRole confirmed)
    : segment_(std::move(segment)),
      limits_(limits),
      outside_(outside),
      confirmed_(confirmed),
      keys_(object_keys(segment_->settings,
                        {.id = segment_->id,
                         .stream = segment_->stream,
                         .first_received_at = segment_->seal.summary.first_received_at})),
      frame_(std::make_shared<const ObjectFrame>(object_frame(segment_->settings))) {
  // Whatever an earlier process may have stored is looked up before anything else.
  if (segment_->found_at_start && outside_.store.capabilities().metadata) {
    for (const ObjectRole role : kObjectRoles) {
      if (role != ObjectRole::segment || segment_->raw) {
        make_object(role);
      }
    }
  } else {
    may_send_ = true;
  }
  if (segment_->raw) {
    // Nobody looks into it: what is known of it was known before.
    rejects_ = segment_->known_rejects.value_or(RejectList());
    pieces_ = segment_->seal.summary.pieces();
    events_ = pieces_ - std::min<std::uint64_t>(pieces_, rejects_.rejects.size());
  }
}

// ---- blocks -------------------------------------------------------------------------------------

void SegmentUpload::add(ConvertedBlock block) {
  const std::uint32_t index = block.index;
  CHECK_THAT(index >= next_index_ && !early_.contains(index));
  early_.emplace(index, std::move(block));
  take_in_order();
}

void SegmentUpload::take_in_order() {
  for (auto next = early_.find(next_index_); next != early_.end();
       next = early_.find(next_index_)) {
    ConvertedBlock block = std::move(next->second);
    early_.erase(next);
    next_index_ += 1;
    const bool last = block.last;
    take(std::move(block));
    if (last) {
      CHECK_THAT(early_.empty());
      finish();
    }
  }
}

void SegmentUpload::take(ConvertedBlock block) {
  events_ += block.events;
  pieces_ += block.pieces;
  damaged_bytes_ += block.damaged_bytes;
  for (const RejectedPiece& piece : block.rejected) {
    rejects_.rejects.push_back({.index = static_cast<std::uint32_t>(piece.sequence & 0xFFFFFFFFU),
                                .reason = piece.reason,
                                .line = piece.line,
                                .column = piece.column});
  }
  if (dropping_) {
    return;
  }
  if (segment_->raw) {
    take_image(block);
    return;
  }
  if (!block.rejected.empty()) {
    take_rejected(block);
  }
  if (!block.body.empty()) {
    take_events(block);
  }
}

void SegmentUpload::take_rejected(ConvertedBlock& block) {
  if (quarantine_dropped_) {
    block.room.shrink_to(std::min(block.body.size(), block.room.bytes()));
    return;
  }
  // Both at once, so that they can leave in parts: they alone may be more than the memory.
  auto raw_run = std::make_shared<RejectedRun>();
  auto lines = std::make_shared<ReasonLines>();
  for (const RejectedPiece& piece : block.rejected) {
    lines->text += reason_line(piece, raw_bytes_);
    raw_bytes_ += piece.bytes.size();
  }
  lines->room = block.room.split(std::min(lines->text.capacity(), block.room.bytes()));
  raw_run->room = block.room.split(std::min(cost_of(block.rejected), block.room.bytes()));
  raw_run->pieces = std::move(block.rejected);
  if (!confirmed_[index_of(ObjectRole::raw)]) {
    ObjectUpload& raw = make_object(ObjectRole::raw);
    for (const RejectedPiece& piece : raw_run->pieces) {
      raw.append(as_bytes(piece.bytes), raw_run);
    }
  }
  if (!confirmed_[index_of(ObjectRole::reasons)]) {
    const std::span<const std::byte> bytes = as_bytes(lines->text);
    make_object(ObjectRole::reasons).append(bytes, std::move(lines));
  }
}

// An object that gave up lets go of what comes.
void SegmentUpload::take_image(ConvertedBlock& block) {
  auto owner = std::make_shared<Buffer>(std::move(block.body));
  const std::span<const std::byte> bytes = owner->bytes();
  make_object(ObjectRole::segment).append(bytes, std::move(owner));
}

void SegmentUpload::take_events(ConvertedBlock& block) {
  struct Owner {
    Buffer body;
    Charge room;
  };
  const bool is_first = !std::exchange(has_events_, true);
  if (confirmed_[index_of(ObjectRole::data)]) {
    return;
  }
  ObjectUpload& data = make_object(ObjectRole::data);
  data.append(as_bytes(is_first ? frame_->prefix : frame_->separator), frame_);
  auto owner = std::make_shared<Owner>();
  owner->body = std::move(block.body);
  owner->room = std::move(block.room);
  const std::span<const std::byte> bytes = owner->body.bytes();
  data.append(bytes, std::move(owner));
}

void SegmentUpload::finish() {
  whole_ = true;
  std::sort(rejects_.rejects.begin(), rejects_.rejects.end(),
            [](const Reject& a, const Reject& b) { return a.index < b.index; });
  if (dropping_) {
    return;
  }
  if (segment_->raw) {
    finish_image();
    return;
  }
  finish_data();
  finish_quarantine();
}

void SegmentUpload::finish_image() const {
  object(ObjectRole::segment)->close({{"pieces", std::to_string(pieces_)}});
}

void SegmentUpload::finish_data() {
  const std::shared_ptr<ObjectUpload>& data = object(ObjectRole::data);
  if (confirmed_[index_of(ObjectRole::data)]) {
    objects_[index_of(ObjectRole::data)].reset();
    return;
  }
  if (!needs(ObjectRole::data)) {
    return;
  }
  data->append(as_bytes(frame_->suffix), frame_);
  ObjectMetadata more;
  if (!segment_->known_rejects) {
    more.emplace_back("rejected", rejects_.hash());
  }
  more.emplace_back("events", std::to_string(events_));
  data->close(more);
}

void SegmentUpload::finish_quarantine() {
  for (const ObjectRole role : {ObjectRole::raw, ObjectRole::reasons}) {
    if (confirmed_[index_of(role)]) {
      objects_[index_of(role)].reset();
    }
  }
  if (rejects_.rejects.empty() || quarantine_dropped_) {
    return;
  }
  ObjectMetadata more;
  if (!segment_->known_rejects) {
    more.emplace_back("rejected", rejects_.hash());
  }
  more.emplace_back("pieces", std::to_string(rejects_.rejects.size()));
  for (const ObjectRole role : {ObjectRole::raw, ObjectRole::reasons}) {
    if (!confirmed_[index_of(role)]) {
      object(role)->close(more);
    }
  }
}

void SegmentUpload::drop_quarantine() {
  quarantine_dropped_ = true;
  for (const ObjectRole role : {ObjectRole::raw, ObjectRole::reasons, ObjectRole::segment}) {
    if (object(role) != nullptr) {
      object(role)->give_up();
    }
  }
}

void SegmentUpload::drop() {
  dropping_ = true;
  for (auto& [index, block] : early_) {
    block.body.reset();
    for (RejectedPiece& piece : block.rejected) {
      std::string().swap(piece.bytes);
    }
    block.room.release();
  }
  for (const auto& upload : objects_) {
    if (upload != nullptr) {
      upload->give_up();
    }
  }
}

// ---- objects ------------------------------------------------------------------------------------

ObjectMetadata SegmentUpload::base_metadata() const {
  ObjectMetadata metadata = {
      {"uploaded_at", utc_seconds(outside_.clock.wall_now())},
      {"source", std::string(segment_->stream == Stream::xml ? kSourceOfXml : kSourceOfLogs)},
      {"segment", to_string(segment_->id)},
      {"digest", to_hex(segment_->seal.summary.digest)},
      {"first-seq", std::to_string(first_sequence())},
      {"last-seq", std::to_string(last_sequence())},
      {"sluice-version", SLUICE_VERSION},
  };
  if (segment_->known_rejects) {
    metadata.emplace_back("rejected", segment_->known_rejects->hash());
  }
  if (const auto origin = segment_origin_of(segment_->header.settings)) {
    metadata.emplace_back("replayed-from", origin->file);
    metadata.emplace_back("replayed-sha256", origin->sha256);
  }
  return metadata;
}

ObjectUpload& SegmentUpload::make_object(ObjectRole role) {
  std::shared_ptr<ObjectUpload>& upload = objects_[index_of(role)];
  if (upload != nullptr) {
    return *upload;
  }
  ObjectUpload::Plan plan;
  plan.prefix =
      role == ObjectRole::data ? segment_->settings.prefix : segment_->settings.quarantine_prefix;
  switch (role) {
    case ObjectRole::data:
      plan.name.key = keys_.data;
      plan.name.content_type = content_type(segment_->settings.format);
      break;
    case ObjectRole::raw:
      plan.name.key = keys_.raw;
      plan.name.content_type = "application/xml";
      break;
    case ObjectRole::reasons:
      plan.name.key = keys_.reasons;
      plan.name.content_type = "application/x-ndjson";
      break;
    case ObjectRole::segment:
      plan.name.key = keys_.segment;
      plan.name.content_type = "application/octet-stream";
      break;
  }
  plan.name.metadata = base_metadata();
  plan.look_first = segment_->found_at_start && outside_.store.capabilities().metadata &&
                    !confirmed_[index_of(role)];
  plan.is_ours = [segment = segment_, last = last_sequence()](const ObjectInfo& info) {
    if (metadata_value(info.metadata, "digest") == to_hex(segment->seal.summary.digest)) {
      return true;
    }
    // A restored backup of the spool: the store has all of this segment, and more.
    const std::string_view text = metadata_value(info.metadata, "last-seq");
    std::uint64_t stored = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), stored);
    return metadata_value(info.metadata, "segment") == to_string(segment->id) &&
           failure == std::errc() && end == text.data() + text.size() && stored >= last;
  };
  plan.part_bytes = limits_.part_bytes;
  plan.refusals_max = limits_.refusals_max;
  plan.failures_to_yield = limits_.failures_to_yield;
  upload = ObjectUpload::make(std::move(plan), outside_);
  if (may_send_) {
    upload->allow_send();
  }
  if (may_publish_[index_of(role)]) {
    upload->allow_publish();
  }
  return *upload;
}

bool SegmentUpload::all_done() const {
  return whole_ && std::all_of(objects_.begin(), objects_.end(), [](const auto& upload) {
           return upload == nullptr || upload->state() == ObjectUpload::State::done;
         });
}

bool SegmentUpload::all_idle() const {
  return std::all_of(objects_.begin(), objects_.end(), [](const auto& upload) {
    return upload == nullptr || (upload->idle() && upload->state() != ObjectUpload::State::open);
  });
}

void SegmentUpload::allow_send() {
  may_send_ = true;
  for (const auto& upload : objects_) {
    if (upload != nullptr) {
      upload->allow_send();
    }
  }
}

void SegmentUpload::allow_publish(ObjectRole role) {
  may_publish_[index_of(role)] = true;
  if (const auto& upload = object(role)) {
    upload->allow_publish();
  }
}

std::uint64_t SegmentUpload::first_sequence() const { return sequence_of(segment_->id.num, 0); }

std::uint64_t SegmentUpload::last_sequence() const {
  const std::uint64_t pieces = segment_->seal.summary.pieces();
  return sequence_of(segment_->id.num, static_cast<std::uint32_t>(pieces > 0 ? pieces - 1 : 0));
}

}  // namespace sluice
