// SegmentUpload: what Upload holds of one segment on its way into the store: its blocks, put back
// in order, and the objects made from them: up to three, or of a raw segment one. Knows nothing of
// requests and retries, which are the objects', and nothing of the spool, which is the Uploader's.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/s3/object_key.h"
#include "common/s3/object_upload.h"
#include "common/xml/object_frame.h"
#include "stages/messages.h"

namespace sluice {

// Which of a segment's objects.
enum class ObjectRole : std::uint8_t { data, raw, reasons, segment };
inline constexpr std::array kObjectRoles{ObjectRole::data, ObjectRole::raw, ObjectRole::reasons,
                                         ObjectRole::segment};
using PerObjectRole = std::array<bool, kObjectRoles.size()>;
constexpr std::size_t index_of(ObjectRole role) { return static_cast<std::size_t>(role); }
std::string_view to_string(ObjectRole role);

class SegmentUpload {
 public:
  struct Limits {
    std::uint64_t part_bytes = 16 * kMiB;
    std::uint32_t refusals_max = 5;
    std::uint32_t failures_to_yield = 10;
  };
  // `confirmed`: objects that an earlier pass of this process has brought in; their bytes are
  // dropped.
  SegmentUpload(SealedSegmentPtr segment, Limits limits, ObjectUpload::Outside outside,
                PerObjectRole confirmed);

  // In any order.
  void add(ConvertedBlock block);
  // Takes no more content and lets go of what there is.
  void drop();
  // The same for the rejected bytes alone; their list stays, and the data goes on. The segment has
  // to come again for them.
  void drop_quarantine();

  [[nodiscard]] const SealedSegment& segment() const { return *segment_; }
  [[nodiscard]] bool whole() const { return whole_; }  // every block has come
  [[nodiscard]] bool quarantine_dropped() const { return quarantine_dropped_; }
  // Nothing where the role is not needed (so far).
  [[nodiscard]] const std::shared_ptr<ObjectUpload>& object(ObjectRole role) const {
    return objects_[index_of(role)];
  }
  // An earlier pass of this process has brought it in.
  [[nodiscard]] bool confirmed(ObjectRole role) const { return confirmed_[index_of(role)]; }
  // Every object has been looked up that is to be.
  [[nodiscard]] bool looked() const;
  // The store has objects of this segment, not all, and what was rejected when they were made is
  // not what is rejected now: others beside them would hold events twice, or leave some out.
  [[nodiscard]] bool decided_otherwise() const;
  // What was found is all that could be made of the segment.
  [[nodiscard]] bool complete_in_store() const;
  // Objects that were looked up, and that nothing is to be stored under.
  void forget_unneeded();
  // Once whole, and what is not needed forgotten.
  [[nodiscard]] bool all_done() const;
  [[nodiscard]] bool all_idle() const;
  void allow_send();
  void allow_publish(ObjectRole role);

  [[nodiscard]] std::uint64_t events() const { return events_; }
  [[nodiscard]] std::uint64_t pieces() const { return pieces_; }
  [[nodiscard]] std::uint64_t damaged_bytes() const { return damaged_bytes_; }
  [[nodiscard]] const RejectList& rejects() const { return rejects_; }
  [[nodiscard]] std::uint64_t first_sequence() const;
  [[nodiscard]] std::uint64_t last_sequence() const;

 private:
  // Rejected pieces of one block, with their charge: what spans of the raw object point into.
  struct RejectedRun {
    std::vector<RejectedPiece> pieces;
    Charge room;
  };
  // Their lines in the reasons object, the same way.
  struct ReasonLines {
    std::string text;
    Charge room;
  };

  [[nodiscard]] bool needs(ObjectRole role) const;
  [[nodiscard]] std::string rejects_hash() const;
  [[nodiscard]] ObjectMetadata base_metadata() const;
  ObjectUpload& make_object(ObjectRole role);
  void take_in_order();
  void take(ConvertedBlock block);
  void take_events(ConvertedBlock& block);
  void take_rejected(ConvertedBlock& block);
  void take_image(ConvertedBlock& block);
  void finish();
  void finish_data();
  void finish_quarantine();
  void finish_image() const;

  SealedSegmentPtr segment_;
  Limits limits_;
  ObjectUpload::Outside outside_;
  PerObjectRole confirmed_;
  ObjectKeys keys_;
  std::shared_ptr<const ObjectFrame> frame_;
  std::array<std::shared_ptr<ObjectUpload>, kObjectRoles.size()> objects_;
  std::map<std::uint32_t, ConvertedBlock> early_;  // blocks whose forerunners are still to come
  std::uint32_t next_index_ = 0;
  bool whole_ = false;
  bool dropping_ = false;
  bool quarantine_dropped_ = false;
  PerObjectRole may_publish_{};
  bool may_send_ = false;
  bool has_events_ = false;
  std::uint64_t events_ = 0;
  std::uint64_t pieces_ = 0;
  std::uint64_t damaged_bytes_ = 0;
  std::uint64_t raw_bytes_ = 0;
  RejectList rejects_;
};

// A line of `_raw.reasons.jsonl`, with its line feed; `offset` is where the piece begins in the raw
// object.
std::string reason_line(const RejectedPiece& piece, std::uint64_t offset);

}  // namespace sluice
