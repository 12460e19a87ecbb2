// LeftoverUploads: multipart uploads that an earlier process began and nobody will end, whose parts
// a store keeps, and charges for, for ever. Looked for once and aborted. Parts of new uploads are
// begun only after the last page of that listing (UploadGate::allow_multipart), so what it finds is
// old, whatever clock the store has.
//
// For one thread: start_next() starts at most one request, completions move it on inside
// ObjectStore::poll(). A store that does not let us look, or fails too often, ends it: what is left
// is for the bucket's lifecycle rule.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/platform/clock.h"
#include "common/s3/object_store.h"
#include "common/s3/retry_policy.h"
#include "common/s3/upload_gate.h"

namespace sluice {

class LeftoverUploads : public std::enable_shared_from_this<LeftoverUploads> {
 public:
  struct Plan {
    std::vector<std::string> prefixes;
    // True for the key of an upload that may be aborted: another instance's never are.
    std::function<bool(std::string_view key)> is_ours;
    std::uint32_t failures_max = 5;  // in a row, then it is over
  };
  // All of it outlives this.
  struct Outside {
    ObjectStore& store;
    UploadGate& gate;
    Backoff& backoff;
    const Clock& clock;
  };
  static std::shared_ptr<LeftoverUploads> make(Plan plan, Outside outside) {
    return std::shared_ptr<LeftoverUploads>(new LeftoverUploads(std::move(plan), outside));
  }

  // Starts a request if there is one to start now and the gate lets it. True if it did.
  bool start_next();
  // When start_next() is worth calling though nothing else has happened.
  [[nodiscard]] MonotonicTime wake_at() const;
  // Everything is listed, or cannot be: uploads that begin now are not looked at.
  [[nodiscard]] bool listed() const { return prefix_ == plan_.prefixes.size() || error_; }
  [[nodiscard]] bool done() const { return listed() && !requesting_ && (error_ || found_.empty()); }

  [[nodiscard]] std::uint64_t aborted() const { return aborted_; }
  // Why it ended early.
  [[nodiscard]] const std::optional<StoreError>& error() const { return error_; }

 private:
  LeftoverUploads(Plan plan, Outside outside) : plan_(std::move(plan)), outside_(outside) {}

  template <class T>
  StoreCompletion<T> then(void (LeftoverUploads::*next)(T&));
  void on_page(UploadPage& page);
  void on_aborted(ObjectStore::Nothing& nothing);
  void fail(const StoreError& error);
  [[nodiscard]] const std::string& prefix() const;

  Plan plan_;
  Outside outside_;
  std::size_t prefix_ = 0;  // the one being listed
  UploadMarker after_;
  std::deque<MultipartUpload> found_;
  bool requesting_ = false;
  std::uint32_t failures_ = 0;  // in a row
  MonotonicTime not_before_{};
  std::uint64_t aborted_ = 0;
  std::optional<StoreError> error_;
};

}  // namespace sluice
