// ObjectUpload: what the store's answers lead to.
#include "common/s3/object_upload.h"

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

}  // namespace

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
  if (state_ == State::open && !ending_) {
    parts_waiting_.push_front(std::move(part));
  }
  fail(*result.error);
}

void ObjectUpload::on_aborted(StoreResult<ObjectStore::Nothing>& /*result*/) {
  upload_id_.clear();  // parts that stay behind are for the bucket's lifecycle rule
  end(*ending_);
}

void ObjectUpload::on_head(StoreResult<std::optional<ObjectInfo>>& result) {
  if (result.error) {
    on_head_failed(*result.error);
    return;
  }
  plan_.look_first = false;
  const bool was_checking = std::exchange(checking_, false);
  if (result.value) {
    lost_ = false;
    // A store without metadata compares bytes when it is asked to store them.
    if (was_checking || outside_.store.capabilities().metadata) {
      judge(*result.value);
    }
  } else if (lost_) {
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
  const bool refused =
      error.http_status == 400 || error.http_status == 401 || error.http_status == 403;
  if (refused && !checking_ && outside_.store.capabilities().conditional_put) {
    // Looking is for those who may. The PUT has a condition, and its answer says what is wrong.
    plan_.look_first = false;
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
  const bool longer = found_->bytes > read_bytes_max();
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
  if (state_ != State::open || ending_) {
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
      lost_ = error.kind == StoreErrorKind::upload_lost;
      break;
  }
  retry_after(delay);
  outside_.observer.on_failure(*this, error, delay);
}

}  // namespace sluice
