#include "common/s3/object_upload.h"

#include <algorithm>

#include "common/base/check.h"
#include "common/s3/sigv4.h"

namespace sluice {
namespace {

// The store's clock is learnt from the first such answer; another one may come from a second
// server. What goes on is a clock that nobody can follow.
constexpr std::uint32_t kSkewsMax = 3;
// What the store received otherwise than it was sent is sent once more from memory; then the
// segment is read, and its checksums verified, again.
constexpr std::uint32_t kGarbledMax = 2;
bool received_other_bytes(const StoreError& error) {
  return error.code == "BadDigest" || error.code == "XAmzContentSHA256Mismatch" ||
         error.code == "XAmzContentChecksumMismatch";
}
// Room for an error in place of the object.
constexpr std::uint64_t kReadSlackBytes = 64 * kKiB;

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
  if (state_ != State::open || giving_up_) {
    return;
  }
  bytes_ += bytes.size();
  pending_.append(bytes, std::move(owner));
  cut_parts();
}

void ObjectUpload::close(const ObjectMetadata& more) {
  CHECK_THAT(!closed_);
  closed_ = true;
  if (state_ != State::open || giving_up_) {
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
  end_as_ = state;  // once its upload is aborted
  giving_up_ = true;
}

void ObjectUpload::give_up() {
  if (state_ != State::open || giving_up_) {
    return;
  }
  giving_up_ = true;
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
  if (giving_up_) {
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
  return state_ != State::open || (!closed_ && !giving_up_ && !plan_.look_first && !checking_ &&
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
  outside_.store.get({.key = plan_.name.key, .bytes_max = bytes_ + kReadSlackBytes},
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
    end(end_as_);
    return false;
  }
  if (!enter(false)) {
    return false;
  }
  outside_.store.abort_multipart({.key = plan_.name.key, .upload_id = upload_id_},
                                 then(false, &ObjectUpload::on_aborted));
  return true;
}

// ---- answers ------------------------------------------------------------------------------------

void ObjectUpload::on_put(StoreResult<PutOutcome>& result) {
  if (result.error) {
    suspect_ = suspect_ || confirmed_other_bytes(*result.error);
    // Without conditions a repeated PUT would write over what somebody else has put there since.
    plan_.look_first = !outside_.store.capabilities().conditions_proven;
    fail(*result.error);
    return;
  }
  upload_id_.clear();
  etag_ = std::move(result.value.etag);
  if (result.value.found_equal) {
    found_ = ObjectInfo{.bytes = bytes_, .etag = etag_};
  }
  end(State::done);
}

void ObjectUpload::on_created(StoreResult<std::string>& result) {
  if (result.error) {
    fail(*result.error);
    return;
  }
  upload_id_ = std::move(result.value);
  failures_ = 0;
}

void ObjectUpload::on_part(StoreResult<UploadedPart>& result, Part& part) {
  if (!result.error) {
    parts_done_.push_back(std::move(result.value));
    failures_ = 0;
    return;
  }
  if (state_ == State::open && !giving_up_) {
    parts_waiting_.push_front(std::move(part));
  }
  fail(*result.error);
}

void ObjectUpload::on_aborted(StoreResult<ObjectStore::Nothing>& /*result*/) {
  upload_id_.clear();  // parts that stay behind are for the bucket's lifecycle rule
  end(end_as_);
}

void ObjectUpload::on_head(StoreResult<std::optional<ObjectInfo>>& result) {
  if (result.error) {
    on_head_failed(*result.error);
    return;
  }
  plan_.look_first = false;
  const bool was_lost = std::exchange(was_lost_, false);
  const bool was_checking = std::exchange(checking_, false);
  if (result.value) {
    // A store without metadata compares bytes when it is asked to store them.
    if (was_checking || outside_.store.capabilities().metadata) {
      judge(*result.value);
    }
  } else if (was_lost) {
    lost_ = true;
    upload_id_.clear();
    give_up();  // its parts are gone from memory too
  } else if (was_checking) {
    fail({.kind = StoreErrorKind::retry,
          .code = "Contradiction",
          .message = "the store says that the object exists, and that it does not"});
  }
}

void ObjectUpload::on_head_failed(const StoreError& error) {
  const bool teaches =
      error.kind == StoreErrorKind::refresh_credentials || error.kind == StoreErrorKind::clock_skew;
  if (error.kind == StoreErrorKind::retry || error.kind == StoreErrorKind::conflict ||
      (teaches && !std::exchange(taught_, true))) {
    fail(error);
    return;
  }
  const bool may_not_read = error.http_status == 401 || error.http_status == 403;
  if (may_not_read && !checking_ && outside_.store.capabilities().conditional_put) {
    plan_.look_first = false;  // looking is for those who may: the PUT has a condition
    return;
  }
  // Where nothing but this look keeps a PUT from writing over an object, it has to come about.
  last_error_ = error;
  if (!checking_) {
    hold(error);
  }
  retry_after(outside_.gate.probe_interval());
  outside_.observer.on_failure(*this, last_error_, outside_.gate.probe_interval());
}

void ObjectUpload::judge(const ObjectInfo& info) {
  const bool is_ours = plan_.is_ours(info);
  if (is_ours && suspect_ && multipart_) {
    // Its parts are gone from memory, and the store said that they are not what we sent.
    last_error_ = {.kind = StoreErrorKind::exists,
                   .code = "DamagedObject",
                   .message = "the store confirmed another checksum than that of the parts sent"};
    end(State::differs);
  } else if (is_ours && suspect_) {
    found_ = info;
    reading_ = true;  // its metadata are ours; are its bytes?
  } else if (is_ours) {
    found_ = info;
    etag_ = info.etag;
    end(State::done);
  } else {
    last_error_ = {.kind = StoreErrorKind::exists,
                   .code = "DifferentObject",
                   .message = "the metadata of the stored object name another digest"};
    end(State::differs);
  }
}

void ObjectUpload::on_get(StoreResult<std::optional<std::string>>& result) {
  const bool longer = found_->bytes > bytes_ + kReadSlackBytes;
  if (result.error && !longer) {
    fail(*result.error);
    return;
  }
  if (!result.error && !result.value) {
    reading_ = false;  // gone again: the next PUT says what is there
    found_.reset();
    return;
  }
  ObjectBody stored;
  if (!result.error) {
    stored.append(std::as_bytes(std::span(*result.value)), nullptr);
  }
  // Only what HEAD and GET agree on is the object, and not an error in its place.
  if (!longer && stored.size() != found_->bytes) {
    fail({.kind = StoreErrorKind::retry,
          .code = "Contradiction",
          .message = "GET and HEAD say different sizes"});
    return;
  }
  reading_ = false;
  if (!longer && sha256_of(stored) == sha256_) {
    etag_ = found_->etag;
    end(State::done);
    return;
  }
  last_error_ = {.kind = StoreErrorKind::exists,
                 .code = "DamagedObject",
                 .message = "the stored bytes are not those that were sent"};
  end(State::differs);
}

void ObjectUpload::hold(const StoreError& error) {
  outside_.gate.hold(plan_.prefix, error, outside_.clock.now());
}

void ObjectUpload::fail(const StoreError& error) {
  if (state_ != State::open || giving_up_) {
    return;
  }
  last_error_ = error;
  std::chrono::milliseconds delay{0};
  switch (error.kind) {
    case StoreErrorKind::retry:
    case StoreErrorKind::conflict:
      if (failures_ == 0) {
        successes_before_ = outside_.gate.successes();
      }
      failures_ += 1;
      mismatches_ += confirmed_other_bytes(error) ? 1 : 0;
      garbled_ += received_other_bytes(error) ? 1 : 0;
      delay = outside_.backoff.delay(failures_, error);
      if (garbled_ >= kGarbledMax ||
          (failures_ >= plan_.failures_to_yield && outside_.gate.successes() > successes_before_)) {
        give_up();
      }
      break;
    case StoreErrorKind::refresh_credentials:
      if (!outside_.store.refresh_credentials()) {
        hold(error);
      }
      break;
    case StoreErrorKind::clock_skew:
      skews_ += 1;
      if (skews_ > kSkewsMax) {
        hold(error);
      }
      break;
    case StoreErrorKind::configuration:
      hold(error);
      break;
    case StoreErrorKind::this_object:
      refusals_ += 1;
      delay = outside_.backoff.delay(refusals_, error);
      if (refusals_ >= plan_.refusals_max) {
        end(State::refused);
      }
      break;
    case StoreErrorKind::exists:
    case StoreErrorKind::upload_lost:
      checking_ = true;
      was_lost_ = error.kind == StoreErrorKind::upload_lost;
      break;
  }
  retry_after(delay);
  outside_.observer.on_failure(*this, error, delay);
}

}  // namespace sluice
