// ObjectUpload: brings one object into an ObjectStore, whatever that answers. The body comes in
// pieces; up to one part it goes in a single PUT, beyond that in parts of equal size, begun while
// later pieces are still to come, and the memory of each goes back when the store has it.
//
// A state machine for one thread: start_next() starts at most one request, completions move it on
// inside ObjectStore::poll(). Where the key exists, what is there is judged, and never written
// over; in a store that has not shown to know conditions as far as a HEAD before each repeated PUT
// can tell.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/platform/clock.h"
#include "common/s3/object_store.h"
#include "common/s3/retry_policy.h"
#include "common/s3/upload_gate.h"

namespace sluice {

class ObjectUpload : public std::enable_shared_from_this<ObjectUpload> {
 public:
  enum class State : std::uint8_t {
    open,
    done,     // the store has it
    refused,  // the store will never take it: last_error()
    differs,  // the store has another object under this key
    yielded,  // gave its memory back: begin again from the source
  };
  struct Plan {
    std::string prefix;  // what the gate knows it under
    ObjectName name;
    bool look_first = false;  // HEAD before anything is sent
    // True: the object that is there is the one that we would store.
    std::function<bool(const ObjectInfo&)> is_ours;
    std::uint64_t part_bytes = 16 * kMiB;
    std::uint32_t refusals_max = 5;        // of kind this_object
    std::uint32_t failures_to_yield = 10;  // transient, in a row, while others succeed
  };
  class Observer {
   public:
    virtual ~Observer() = default;
    virtual void on_attempt(const ObjectUpload& upload, bool again) = 0;
    virtual void on_failure(const ObjectUpload& upload, const StoreError& error,
                            std::chrono::milliseconds delay) = 0;
  };
  // All of it outlives the upload.
  struct Outside {
    ObjectStore& store;
    UploadGate& gate;
    Backoff& backoff;
    const Clock& clock;
    Observer& observer;
  };

  static std::shared_ptr<ObjectUpload> make(Plan plan, Outside outside) {
    return std::shared_ptr<ObjectUpload>(new ObjectUpload(std::move(plan), outside));
  }

  ObjectUpload(const ObjectUpload&) = delete;
  ObjectUpload& operator=(const ObjectUpload&) = delete;
  // Gives back the places of what is in flight: nobody hears the answers.
  ~ObjectUpload() { outside_.gate.abandoned(in_flight_); }

  void append(std::span<const std::byte> bytes, std::shared_ptr<const void> owner);
  // The body is whole. `more` is metadata that could not be known before: a single PUT carries it.
  void close(const ObjectMetadata& more);
  // Something may be sent: parts, but nothing that makes the object appear.
  void allow_send() { may_send_ = true; }
  // The object may appear.
  void allow_publish() { may_publish_ = true; }
  // Drops the body; ends as `yielded` once nothing is in flight.
  void give_up();

  // Starts a request if there is one to start now and the gate lets it. True if it did.
  bool start_next();
  // When start_next() is worth calling though nothing else has happened.
  [[nodiscard]] MonotonicTime wake_at() const;

  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] bool idle() const { return in_flight_ == 0; }
  [[nodiscard]] bool looked() const { return !plan_.look_first || state_ != State::open; }
  // Nothing is in flight, and nothing can be sent before more of the body comes.
  [[nodiscard]] bool starved() const;
  [[nodiscard]] bool is_multipart() const { return multipart_; }
  [[nodiscard]] bool giving_up() const { return ending_ == State::yielded; }
  // The store forgot its multipart upload: where it gives up, that is why.
  [[nodiscard]] bool lost() const { return lost_; }

  [[nodiscard]] const std::string& key() const { return plan_.name.key; }
  [[nodiscard]] const std::string& prefix() const { return plan_.prefix; }
  [[nodiscard]] const ObjectMetadata& metadata() const { return plan_.name.metadata; }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  [[nodiscard]] std::uint32_t attempts() const { return attempts_; }
  [[nodiscard]] const std::string& etag() const { return etag_; }
  // How often the store confirmed another checksum than that of the bytes sent.
  [[nodiscard]] std::uint32_t mismatches() const { return mismatches_; }
  // Of a single PUT.
  [[nodiscard]] const std::optional<Sha256>& sha256() const { return sha256_; }
  // It was there already, and this is what the store said of it.
  [[nodiscard]] const std::optional<ObjectInfo>& found() const { return found_; }
  [[nodiscard]] const StoreError& last_error() const { return last_error_; }

 private:
  struct Part {
    std::uint32_t number = 1;
    std::uint64_t begin = 0;
    ObjectBody body;
    std::optional<Sha256> sha256;
  };

  ObjectUpload(Plan plan, Outside outside)
      : plan_(std::move(plan)), outside_(outside), may_send_(!plan_.look_first) {}

  // What is there may be longer than what we have: an error in place of the object, say.
  [[nodiscard]] std::uint64_t read_bytes_max() const { return bytes_ + 64 * kKiB; }
  bool enter(bool writes);
  bool start_head();
  bool start_get();
  bool start_put();
  bool start_multipart();
  bool start_part();
  bool start_complete();
  bool start_abort();
  void cut_parts();
  void note_attempt();

  // A completion that finds its way back only while this lives.
  template <class T>
  StoreCompletion<T> then(bool writes, void (ObjectUpload::*next)(StoreResult<T>&));
  void on_put(StoreResult<PutOutcome>& result);
  void on_head(StoreResult<std::optional<ObjectInfo>>& result);
  void on_head_failed(const StoreError& error);
  void on_get(StoreResult<std::optional<std::string>>& result);
  void on_created(StoreResult<std::string>& result);
  void on_part(StoreResult<UploadedPart>& result, Part& part);
  void on_aborted(StoreResult<ObjectStore::Nothing>& result);

  void judge(const ObjectInfo& info);
  void fail(const StoreError& error);
  void hold(const StoreError& error);
  void retry_after(std::chrono::milliseconds delay) { not_before_ = outside_.clock.now() + delay; }
  void end(State state);

  Plan plan_;
  Outside outside_;
  State state_ = State::open;
  bool may_send_;
  bool may_publish_ = false;
  bool closed_ = false;
  bool multipart_ = false;
  std::optional<State> ending_;  // so, once what is in flight is answered and its upload aborted
  bool checking_ = false;        // the key exists, or the upload is lost: HEAD decides
  bool lost_ = false;            // the store does not know the multipart upload any more
  bool taught_ = false;          // a HEAD that was refused was repeated for what was learnt from it
  bool suspect_ = false;         // a PUT was confirmed with another checksum: what is there is read
  bool reading_ = false;         // GET decides
  bool requesting_ = false;      // one of HEAD, GET, PUT, create, complete or abort is in flight
  std::size_t in_flight_ = 0;
  MonotonicTime not_before_{};

  ObjectBody pending_;  // not yet cut into a part; all of it until there is more than a part
  std::uint64_t bytes_ = 0;
  std::uint64_t bytes_cut_ = 0;
  std::deque<Part> parts_waiting_;
  std::vector<UploadedPart> parts_done_;
  std::uint32_t parts_cut_ = 0;
  std::string upload_id_;

  std::uint32_t attempts_ = 0;
  std::uint32_t failures_ = 0;  // transient, in a row
  std::uint32_t refusals_ = 0;
  std::uint32_t skews_ = 0;
  std::uint32_t mismatches_ = 0;
  std::uint32_t garbled_ = 0;
  std::uint64_t successes_before_ = 0;  // of the gate, at the first failure
  std::string etag_;
  std::optional<Sha256> sha256_;
  std::optional<ObjectInfo> found_;
  StoreError last_error_;
};

}  // namespace sluice
