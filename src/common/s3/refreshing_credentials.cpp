#include "common/s3/refreshing_credentials.h"

#include <pthread.h>

#include <algorithm>

#include "common/base/utc_text.h"
#include "common/log/log.h"

namespace sluice {
namespace {

using std::chrono::milliseconds;

// The wall clock may be set, and nobody tells: it is looked at this often.
constexpr milliseconds kLookInterval{10'000};

bool same(const Credentials& left, const Credentials& right) {
  return left.access_key_id == right.access_key_id &&
         left.secret_access_key == right.secret_access_key &&
         left.session_token == right.session_token;
}

void log_fetched(const CredentialOrigin& origin) {
  log::info("credentials fetched",
            {{"source", origin.source},
             {"for", origin.identity.empty() ? "unknown" : origin.identity},
             {"key_id_end", origin.key_id_end},
             {"expires_at", origin.expires_at ? utc_seconds(*origin.expires_at) : "never"}});
}

}  // namespace

RefreshingCredentials::RefreshingCredentials(Outside outside) : outside_(std::move(outside)) {}

bool RefreshingCredentials::expired() const {
  return held_ && held_->origin.expires_at &&
         *held_->origin.expires_at <= outside_.clock.wall_now();
}

void RefreshingCredentials::want_fetch() {
  wanted_ = true;
  if (wake_) {
    wake_();
  }
}

Result<Credentials> RefreshingCredentials::current() {
  const std::scoped_lock lock(mutex_);
  const bool coming = wanted_ || fetching_;
  if (held_ && !expired()) {
    if (refused_ && coming) {
      return transient("the store refused the credentials: others are being fetched");
    }
    Credentials credentials = held_->credentials;
    credentials.serial = serial_;
    return credentials;
  }
  if (error_.empty()) {
    if (!coming) {
      want_fetch();
    }
    return transient("credentials are being fetched");
  }
  if (!held_) {
    return rejected(error_);
  }
  return rejected("the credentials from " + held_->origin.source + " expired at " +
                  utc_seconds(*held_->origin.expires_at) + ", and no others come: " + error_);
}

bool RefreshingCredentials::refresh(std::uint64_t serial) {
  const std::scoped_lock lock(mutex_);
  if (!held_ || fixed_) {
    return false;
  }
  if (serial != serial_) {
    return true;
  }
  if (!wanted_ && !fetching_) {
    if (fetched_at_ && outside_.clock.now() - *fetched_at_ < kRefreshInterval) {
      return false;
    }
    want_fetch();
  }
  refused_ = true;
  return true;
}

void RefreshingCredentials::reread() {
  const std::scoped_lock lock(mutex_);
  if (!fixed_) {
    want_fetch();
  }
}

void RefreshingCredentials::on_due(std::function<void()> wake) {
  const std::scoped_lock lock(mutex_);
  wake_ = std::move(wake);
}

CredentialReport RefreshingCredentials::report() const {
  const std::scoped_lock lock(mutex_);
  return {.origin = held_ ? std::optional(held_->origin) : std::nullopt,
          .error = error_,
          .tried = tried_,
          .expired = expired(),
          .may_pass = !error_.empty() && may_pass_};
}

milliseconds RefreshingCredentials::until_due() const {
  if (wanted_) {
    return milliseconds(0);
  }
  const auto left = [](auto duration) { return std::chrono::ceil<milliseconds>(duration); };
  milliseconds wait = kLookInterval;
  if (error_.empty() && refresh_at_) {
    wait = left(*refresh_at_ - outside_.clock.wall_now());
  }
  if (!error_.empty() || refresh_at_) {
    const milliseconds until_retry =
        retry_at_ ? left(*retry_at_ - outside_.clock.now()) : milliseconds(0);
    wait = error_.empty() ? std::max(wait, until_retry) : until_retry;
  }
  return std::clamp(wait, milliseconds(0), kLookInterval);
}

milliseconds RefreshingCredentials::turn() {
  {
    const std::scoped_lock lock(mutex_);
    if (const milliseconds wait = until_due(); wait.count() > 0) {
      return wait;
    }
    wanted_ = false;
    fetching_ = true;
  }
  Result<FetchedCredentials> fetched = outside_.chain.fetch();
  const std::scoped_lock lock(mutex_);
  fetching_ = false;
  if (!fetched && fetched.error().kind == ErrorKind::cancelled) {
    return kLookInterval;  // the end is near
  }
  fetched_at_ = outside_.clock.now();
  refused_ = false;
  fixed_ = outside_.chain.fixed();
  tried_ = outside_.chain.tried();
  if (fetched) {
    take(std::move(*fetched));
  } else {
    error_ = fetched.error().message;
    may_pass_ = fetched.error().kind == ErrorKind::transient;
    retry_at_ = *fetched_at_ + back_off();
    log::warning("credentials not fetched", {{"message", error_}});
  }
  return until_due();
}

void RefreshingCredentials::take(FetchedCredentials fetched) {
  const bool fresh = !held_ || !same(held_->credentials, fetched.credentials);
  const bool mended = !error_.empty();
  error_.clear();
  retry_at_.reset();
  if (fresh) {
    serial_ += 1;
  }
  const bool later = !held_ || held_->origin.expires_at != fetched.origin.expires_at;
  held_ = std::move(fetched);
  if (fresh || later) {
    idle_fetches_ = 0;
    plan_refresh();
  } else {
    // The source has none yet that last longer.
    retry_at_ = *fetched_at_ + back_off();
  }
  if (fresh || mended) {
    log_fetched(held_->origin);
  }
}

void RefreshingCredentials::plan_refresh() {
  refresh_at_.reset();
  const auto& expires_at = held_->origin.expires_at;
  if (!expires_at) {
    return;
  }
  const auto life =
      std::chrono::duration_cast<milliseconds>(*expires_at - outside_.clock.wall_now());
  milliseconds early = kEarly + by_chance(kJitterMax);
  if (life < 2 * (kEarly + kJitterMax)) {
    early = life / 4 + by_chance(life / 4);
  }
  refresh_at_ = *expires_at - early;
}

milliseconds RefreshingCredentials::back_off() {
  const std::uint32_t doublings = std::min(idle_fetches_, 10U);
  idle_fetches_ += 1;
  const milliseconds most = std::min<milliseconds>(kRetryMost, kRetryLeast * (1U << doublings));
  return most / 2 + by_chance(most / 2);
}

milliseconds RefreshingCredentials::by_chance(milliseconds most) {
  return milliseconds(most.count() <= 0
                          ? 0
                          : static_cast<std::int64_t>(outside_.random() %
                                                      static_cast<std::uint64_t>(most.count())));
}

// ---- the thread ---------------------------------------------------------------------------------

CredentialThread::CredentialThread(RefreshingCredentials& credentials) : credentials_(credentials) {
  credentials_.on_due([this] { wake(); });
  thread_ = std::thread([this] { run(); });
  pthread_setname_np(thread_.native_handle(), "credentials");
}

CredentialThread::~CredentialThread() {
  {
    const std::scoped_lock lock(mutex_);
    stop_ = true;
  }
  changed_.notify_one();
  thread_.join();
  credentials_.on_due({});
}

void CredentialThread::wake() {
  {
    const std::scoped_lock lock(mutex_);
    woken_ = true;
  }
  changed_.notify_one();
}

void CredentialThread::run() {
  for (;;) {
    const milliseconds wait = credentials_.turn();
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, wait, [this] { return woken_ || stop_; });
    woken_ = false;
    if (stop_) {
      return;
    }
  }
}

}  // namespace sluice
