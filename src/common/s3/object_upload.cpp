#include "common/s3/object_upload.h"

#include <algorithm>

#include "common/base/check.h"
#include "common/s3/sigv4.h"

namespace sluice {
namespace {

// Takes the first `bytes` bytes of `body`, which has as many.
ObjectBody take_front(ObjectBody& body, std::uint64_t bytes) {
  ObjectBody front;
  ObjectBody rest;
  for (const ObjectBody::Span& span : body.spans()) {
    const std::size_t here =
        static_cast<std::size_t>(std::min<std::uint64_t>(bytes - front.size(), span.bytes.size()));
    front.append(span.bytes.first(here), span.owner);
    rest.append(span.bytes.subspan(here), span.owner);
  }
  body = std::move(rest);
  return front;
}

}  // namespace

// ---- the body -----------------------------------------------------------------------------------

void ObjectUpload::append(std::span<const std::byte> bytes, std::shared_ptr<const void> owner) {
  CHECK_THAT(!closed_);
  if (state_ != State::open || ending_) {
    return;
  }
  bytes_ += bytes.size();
  pending_.append(bytes, std::move(owner));
  cut_parts();
}

void ObjectUpload::close(const ObjectMetadata& more) {
  CHECK_THAT(!closed_);
  closed_ = true;
  if (state_ != State::open || ending_) {
    return;
  }
  cut_parts();
  if (!multipart_) {
    plan_.name.metadata.insert(plan_.name.metadata.end(), more.begin(), more.end());
    sha256_ = sha256_of(pending_);
    plan_.name.metadata.emplace_back("sha256", sigv4::hex(*sha256_));
  }
}

void ObjectUpload::cut_parts() {
  // Exactly one part is still a single PUT.
  multipart_ = multipart_ || bytes_ > plan_.part_bytes;
  while (multipart_ && (pending_.size() >= plan_.part_bytes || (closed_ && pending_.size() > 0))) {
    const std::uint64_t bytes = std::min(pending_.size(), plan_.part_bytes);
    parts_cut_ += 1;
    parts_waiting_.push_back({.number = parts_cut_,
                              .begin = bytes_cut_,
                              .body = take_front(pending_, bytes),
                              .sha256 = std::nullopt});
    bytes_cut_ += bytes;
  }
}

void ObjectUpload::end(State state) {
  pending_ = {};
  parts_waiting_.clear();
  if (upload_id_.empty()) {
    state_ = state;
    return;
  }
  ending_ = state;
}

void ObjectUpload::give_up() {
  if (state_ != State::open || ending_) {
    return;
  }
  ending_ = State::yielded;
  pending_ = {};
  parts_waiting_.clear();
  if (in_flight_ == 0 && upload_id_.empty()) {
    end(State::yielded);
  }
}

// ---- requests -----------------------------------------------------------------------------------

bool ObjectUpload::start_next() {
  if (state_ != State::open || requesting_ || outside_.clock.now() < not_before_) {
    return false;
  }
  if (ending_) {
    return in_flight_ == 0 && start_abort();
  }
  if (plan_.look_first || checking_) {
    return in_flight_ == 0 && start_head();
  }
  if (reading_) {
    return start_get();
  }
  if (!may_send_) {
    return false;
  }
  if (!multipart_) {
    return closed_ && may_publish_ && start_put();
  }
  if (upload_id_.empty()) {
    return start_multipart();
  }
  if (!parts_waiting_.empty()) {
    return start_part();
  }
  return closed_ && may_publish_ && in_flight_ == 0 && start_complete();
}

bool ObjectUpload::starved() const {
  return state_ != State::open || (!closed_ && !ending_ && !plan_.look_first && !checking_ &&
                                   !reading_ && in_flight_ == 0 && parts_waiting_.empty());
}

MonotonicTime ObjectUpload::wake_at() const {
  return state_ == State::open && not_before_ > outside_.clock.now() ? not_before_
                                                                     : MonotonicTime::max();
}

bool ObjectUpload::enter(bool writes) {
  if (!outside_.gate.try_start({.prefix = plan_.prefix, .writes = writes}, outside_.clock.now())) {
    return false;
  }
  in_flight_ += 1;
  return true;
}

void ObjectUpload::note_attempt() {
  attempts_ += 1;
  outside_.observer.on_attempt(*this, failures_ + refusals_ > 0);
}

template <class T>
StoreCompletion<T> ObjectUpload::then(bool writes, void (ObjectUpload::*next)(StoreResult<T>&)) {
  requesting_ = true;
  return [weak = weak_from_this(), writes, next](StoreResult<T> result) {
    const std::shared_ptr<ObjectUpload> self = weak.lock();
    if (self == nullptr) {
      return;
    }
    self->requesting_ = false;
    self->in_flight_ -= 1;
    self->outside_.gate.ended({.prefix = self->plan_.prefix, .writes = writes}, result.error);
    (self.get()->*next)(result);
  };
}

bool ObjectUpload::start_head() {
  if (!enter(false)) {
    return false;
  }
  outside_.store.head(plan_.name.key, then(false, &ObjectUpload::on_head));
  return true;
}

bool ObjectUpload::start_get() {
  if (!enter(false)) {
    return false;
  }
  outside_.store.get({.key = plan_.name.key, .bytes_max = read_bytes_max()},
                     then(false, &ObjectUpload::on_get));
  return true;
}

bool ObjectUpload::start_put() {
  if (!enter(true)) {
    return false;
  }
  note_attempt();
  outside_.store.put({.name = plan_.name, .body = pending_, .sha256 = sha256_},
                     then(true, &ObjectUpload::on_put));
  return true;
}

bool ObjectUpload::start_multipart() {
  if (!outside_.gate.multipart_allowed() || !enter(true)) {
    return false;
  }
  outside_.store.create_multipart(plan_.name, then(true, &ObjectUpload::on_created));
  return true;
}

bool ObjectUpload::start_part() {
  if (!enter(true)) {
    return false;
  }
  note_attempt();
  Part part = std::move(parts_waiting_.front());
  parts_waiting_.pop_front();
  if (!part.sha256 && outside_.store.capabilities().signs_payload) {
    part.sha256 = sha256_of(part.body);
  }
  PartRequest request{.key = plan_.name.key,
                      .upload_id = upload_id_,
                      .number = part.number,
                      .begin = part.begin,
                      .body = part.body,
                      .sha256 = part.sha256};
  outside_.store.upload_part(std::move(request), [weak = weak_from_this(), part = std::move(part)](
                                                     StoreResult<UploadedPart> result) mutable {
    if (const std::shared_ptr<ObjectUpload> self = weak.lock()) {
      self->in_flight_ -= 1;
      self->outside_.gate.ended({.prefix = self->plan_.prefix}, result.error);
      self->on_part(result, part);
    }
  });
  return true;
}

bool ObjectUpload::start_complete() {
  if (!enter(true)) {
    return false;
  }
  std::sort(parts_done_.begin(), parts_done_.end(),
            [](const auto& a, const auto& b) { return a.number < b.number; });
  outside_.store.complete_multipart(
      {.key = plan_.name.key, .upload_id = upload_id_, .parts = parts_done_},
      then(true, &ObjectUpload::on_put));
  return true;
}

bool ObjectUpload::start_abort() {
  if (upload_id_.empty()) {
    end(*ending_);
    return false;
  }
  if (!enter(false)) {
    return false;
  }
  outside_.store.abort_multipart({.key = plan_.name.key, .upload_id = upload_id_},
                                 then(false, &ObjectUpload::on_aborted));
  return true;
}

}  // namespace sluice
