// RefreshingCredentials: what a chain gives, fetched anew before it expires and when the store
// refuses it. One fetch at a time, for everybody who waits; what is held serves until it expires,
// whatever becomes of the fetches.
//
// turn() is called by one thread, CredentialThread's or a test's; everything else by any.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "common/platform/clock.h"
#include "common/platform/random.h"
#include "common/s3/credential_chain.h"
#include "common/s3/credentials.h"

namespace sluice {

// What can be said of the credentials now.
struct CredentialReport {
  std::optional<CredentialOrigin> origin = {};  // of those that are held
  std::string error = {};                       // of the last fetch; empty where it succeeded
  std::vector<TriedLink> tried = {};            // in the last fetch
  bool expired = false;
  bool may_pass = false;  // the error: a configured source gave no answer
};

class RefreshingCredentials final : public CredentialsProvider {
 public:
  // What outlives its credentials by less than this is fetched early: five minutes, and up to five
  // more by chance, so that a fleet does not ask at once. Short ones: in their second half.
  static constexpr std::chrono::minutes kEarly{5};
  static constexpr std::chrono::minutes kJitterMax{5};
  // After a fetch that failed, or that gave the same again; doubling, by chance down to a half.
  static constexpr std::chrono::seconds kRetryLeast{1};
  static constexpr std::chrono::seconds kRetryMost{60};
  // A store that refuses what was fetched less than this ago is not answered with another fetch.
  static constexpr std::chrono::seconds kRefreshInterval{5};

  // The chain is turn()'s; all outlive this.
  struct Outside {
    CredentialChain& chain;
    const Clock& clock;
    Random64 random;
  };
  explicit RefreshingCredentials(Outside outside);

  [[nodiscard]] Result<Credentials> current() override;
  bool refresh(std::uint64_t serial) override;
  // Somebody changed what the sources read: fetches, while what is held serves on.
  void reread();
  [[nodiscard]] CredentialReport report() const;

  // Fetches where that is due, and blocks for that. How long until it will be.
  std::chrono::milliseconds turn();
  // Called, by any thread, when turn() is due before it said.
  void on_due(std::function<void()> wake);

 private:
  [[nodiscard]] bool expired() const;
  [[nodiscard]] std::chrono::milliseconds until_due() const;
  void want_fetch();
  void take(FetchedCredentials fetched);
  void plan_refresh();
  [[nodiscard]] std::chrono::milliseconds back_off();
  // Uniform, from 0 to below `most`.
  [[nodiscard]] std::chrono::milliseconds by_chance(std::chrono::milliseconds most);

  const Outside outside_;
  mutable std::mutex mutex_;  // of all below
  std::function<void()> wake_;
  std::optional<FetchedCredentials> held_;
  std::uint64_t serial_ = 0;  // of what is held
  bool fixed_ = false;
  bool wanted_ = true;
  bool fetching_ = false;
  bool refused_ = false;  // the store refused what is held
  std::string error_;
  bool may_pass_ = false;
  std::vector<TriedLink> tried_;
  std::uint32_t idle_fetches_ = 0;  // in a row that gave nothing fresher
  std::optional<MonotonicTime> fetched_at_;
  std::optional<WallTime> refresh_at_;     // where what is held expires
  std::optional<MonotonicTime> retry_at_;  // not before
};

// Drives turn() until it dies.
class CredentialThread {
 public:
  explicit CredentialThread(RefreshingCredentials& credentials);
  CredentialThread(const CredentialThread&) = delete;
  CredentialThread& operator=(const CredentialThread&) = delete;
  // Waits for a fetch that runs: the owner ends that first.
  ~CredentialThread();

 private:
  void run();
  void wake();

  RefreshingCredentials& credentials_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool woken_ = false;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace sluice
