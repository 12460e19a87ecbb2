#include "common/s3/leftover_uploads.h"

#include <algorithm>

namespace sluice {
namespace {

// A store with more than that of ours is given the rest of them at the next start.
constexpr std::size_t kFoundMax = 10'000;

}  // namespace

const std::string& LeftoverUploads::prefix() const {
  return plan_.prefixes[std::min(prefix_, plan_.prefixes.size() - 1)];
}

bool LeftoverUploads::start_next() {
  if (done() || requesting_ || outside_.clock.now() < not_before_ ||
      !outside_.gate.try_start({.prefix = prefix(), .writes = false}, outside_.clock.now())) {
    return false;
  }
  requesting_ = true;
  if (!listed()) {
    outside_.store.list_multipart({.prefix = prefix(), .after = after_},
                                  then(&LeftoverUploads::on_page));
  } else {
    outside_.store.abort_multipart(found_.front(), then(&LeftoverUploads::on_aborted));
  }
  return true;
}

MonotonicTime LeftoverUploads::wake_at() const {
  return !done() && not_before_ > outside_.clock.now() ? not_before_ : MonotonicTime::max();
}

template <class T>
StoreCompletion<T> LeftoverUploads::then(void (LeftoverUploads::*next)(T&)) {
  return [weak = weak_from_this(), next](StoreResult<T> result) {
    const std::shared_ptr<LeftoverUploads> self = weak.lock();
    if (self == nullptr) {
      return;
    }
    self->requesting_ = false;
    self->outside_.gate.ended({.prefix = self->prefix(), .writes = false}, result.error);
    if (result.error) {
      self->fail(*result.error);
    } else {
      self->failures_ = 0;
      (self.get()->*next)(result.value);
    }
  };
}

void LeftoverUploads::on_page(UploadPage& page) {
  for (OpenUpload& open : page.uploads) {
    if (found_.size() < kFoundMax && plan_.is_ours(open.upload.key)) {
      found_.push_back(std::move(open.upload));
    }
  }
  if (!page.next.empty() && page.next == after_) {
    fail({.kind = StoreErrorKind::this_object,
          .http_status = 200,
          .code = "ListingStands",
          .message = "a page of the listing ends where it began"});
    return;
  }
  after_ = std::move(page.next);
  if (after_.empty()) {
    prefix_ += 1;
  }
}

void LeftoverUploads::on_aborted(ObjectStore::Nothing& /*nothing*/) {
  found_.pop_front();
  aborted_ += 1;
}

void LeftoverUploads::fail(const StoreError& error) {
  failures_ += 1;
  // Before anything could be written the store is away, and there is no hurry.
  bool again = failures_ < plan_.failures_max || outside_.gate.successes() == 0;
  switch (error.kind) {
    case StoreErrorKind::retry:
    case StoreErrorKind::conflict:
      not_before_ = outside_.clock.now() + outside_.backoff.delay(failures_, error);
      break;
    case StoreErrorKind::clock_skew:
      break;  // signed anew
    case StoreErrorKind::refresh_credentials:
      again = again && outside_.store.refresh_credentials();
      break;
    default:  // no answer of the store: credentials, a certificate, a proxy
      again = error.http_status == 0;
      not_before_ = outside_.clock.now() + outside_.gate.probe_interval();
      break;
  }
  if (!again) {
    error_ = error;
    found_.clear();
  }
}

}  // namespace sluice
