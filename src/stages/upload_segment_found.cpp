// SegmentUpload: what the store has of the segment already, and what follows for the rest.
#include <algorithm>

#include "stages/upload_segment.h"

namespace sluice {
bool SegmentUpload::needs(ObjectRole role) const {
  if (segment_->raw || role == ObjectRole::segment) {
    return segment_->raw && role == ObjectRole::segment;
  }
  return role == ObjectRole::data ? has_events_ : !rejects_.rejects.empty();
}

bool SegmentUpload::looked() const {
  return std::all_of(kObjectRoles.begin(), kObjectRoles.end(), [&](ObjectRole role) {
    const auto& upload = object(role);
    // A quarantine prefix that refuses to be looked at holds no data back; its own objects look
    // before they are sent.
    return upload == nullptr || upload->looked() ||
           (role != ObjectRole::data && outside_.gate.held(upload->prefix()));
  });
}

// What an earlier run decided is what the objects say, also where some of it verifies no more.
std::string SegmentUpload::rejects_hash() const {
  const auto& ours = rejects_.rejects;
  if (segment_->known_rejects) {
    const auto& known = segment_->known_rejects->rejects;
    if (std::includes(known.begin(), known.end(), ours.begin(), ours.end(),
                      [](const Reject& a, const Reject& b) { return a.index < b.index; })) {
      return segment_->known_rejects->hash();
    }
  }
  return rejects_.hash();
}

bool SegmentUpload::decided_otherwise() const {
  if (segment_->raw) {
    return false;  // nothing is decided: it is stored unread
  }
  const std::string ours = rejects_hash();
  bool differs = false;
  bool all_there = true;
  for (const ObjectRole role : {ObjectRole::data, ObjectRole::raw, ObjectRole::reasons}) {
    const auto& upload = object(role);
    if (confirmed_[index_of(role)]) {
      continue;
    }
    if (upload == nullptr || !upload->found()) {
      all_there = false;
      continue;
    }
    // One that was stored in parts may not say: then by the list that we have on disk, or, where
    // that is lost, nobody knows by which.
    const std::string_view stated = metadata_value(upload->found()->metadata, "rejected");
    differs = differs || (stated.empty() ? !segment_->known_rejects : stated != ours);
  }
  return differs && !all_there && outside_.store.capabilities().metadata;
}

bool SegmentUpload::complete_in_store() const {
  const auto is_there = [&](ObjectRole role) {
    return object(role) != nullptr && object(role)->found();
  };
  const bool has_data = is_there(ObjectRole::data);
  if (has_data && metadata_value(object(ObjectRole::data)->found()->metadata, "rejected") == "0") {
    return true;
  }
  if (!segment_->raw) {
    return false;  // its objects are made again, and each is judged alone
  }
  const bool has_rejects = is_there(ObjectRole::raw) && is_there(ObjectRole::reasons);
  if (!segment_->known_rejects) {
    return has_data && has_rejects;
  }
  return (events_ == 0 || has_data) && (rejects_.rejects.empty() || has_rejects);
}

void SegmentUpload::forget_unneeded() {
  for (const ObjectRole role : kObjectRoles) {
    if (!needs(role)) {
      objects_[index_of(role)].reset();
    }
  }
}

}  // namespace sluice
