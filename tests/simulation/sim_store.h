// The store of a simulation: one for all hosts, with the weather of a real one. Requests take time;
// answers are lost; what was sent is carried out late, also after its sender has died, or twice;
// prefixes are denied for a while; single keys are refused for ever. It watches what must never
// happen to an object.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/s3/object_store.h"
#include "simulation/sim_random.h"

namespace sluice::simulation {

class RemoteStore {
 public:
  struct Object {
    std::string bytes;
    ObjectMetadata metadata;
    std::string etag;
  };
  struct Upload {
    ObjectName name;
    std::map<std::uint32_t, std::string> parts = {};
    WallTime initiated_at{};
    int host = 0;
  };
  struct Weather {
    bool faulty = true;
    std::uint64_t fault_one_in = 6;  // of requests
    bool denials = true;
    std::uint64_t denial_one_in = 150;    // of requests: the prefix is denied for a while
    std::uint64_t refusal_one_in = 1200;  // of keys: never taken
    std::uint64_t amnesia_one_in = 120;   // of requests: multipart uploads are forgotten
  };
  struct Counts {
    std::uint64_t requests = 0;
    std::uint64_t faults = 0;
    std::uint64_t lost_answers = 0;
    std::uint64_t late = 0;  // carried out after the sender was told that it failed
    std::uint64_t twice = 0;
    std::uint64_t after_death = 0;
    std::uint64_t denials = 0;
    std::uint64_t refused_keys = 0;
    std::uint64_t multipart = 0;
    std::uint64_t conditions_met = 0;  // a write that was refused because the key exists
  };

  RemoteStore(SimRandom& random, ManualClock& clock, SimTrace& trace,
              ObjectStore::Capabilities given)
      : abilities(given), random_(random), clock_(clock), trace_(trace) {}

  // Carries out what is due.
  void run_due();
  // When the next is.
  [[nodiscard]] MonotonicTime next_at() const;
  void clear_up();  // no more faults; refused keys stay

  // What the `request`th request meets, from 1, whatever the weather.
  struct Planned {
    std::uint64_t request = 0;
    StoreError error;
    bool carried_out = false;
  };

  const ObjectStore::Capabilities abilities;
  std::optional<Planned> planned;
  bool silent = false;  // takes requests, and never answers
  Weather weather;
  Counts counts;
  std::map<std::string, Object> objects;
  std::map<std::string, Upload> uploads;
  std::set<std::string> refused_keys;
  std::vector<std::string> violations;

 private:
  friend class SimStore;
  struct Fate {
    bool carried_out = true;
    std::optional<std::chrono::milliseconds> again_after;  // carried out (again) that much later
    std::optional<StoreError> error;                       // what the sender hears
  };

  Fate fate_of(std::string_view op, const std::string& key, bool writes);
  StoreError fault(bool writes);
  void at(MonotonicTime time, std::function<void()> work);
  void note_write(const std::string& key, Object object);
  void put(const ObjectName& name, std::string bytes, bool if_none_match,
           StoreResult<PutOutcome>& result);
  void complete(const CompleteRequest& request, StoreResult<PutOutcome>& result);
  [[nodiscard]] MonotonicTime soon();

  SimRandom& random_;
  ManualClock& clock_;
  SimTrace& trace_;
  std::map<std::pair<MonotonicTime, std::uint64_t>, std::function<void()>> due_;
  std::uint64_t number_ = 0;
  std::map<std::string, MonotonicTime> denied_until_;  // by the first component of the key
  std::set<std::string> keys_seen_;
};

// One process's way to it.
class SimStore final : public ObjectStore {
 public:
  // `halted`: the process is dead already, and only the step that killed it goes on to its end.
  SimStore(RemoteStore& remote, int host, std::function<bool()> halted);
  ~SimStore() override;
  SimStore(const SimStore&) = delete;
  SimStore& operator=(const SimStore&) = delete;

  [[nodiscard]] Capabilities capabilities() const override { return abilities_; }
  [[nodiscard]] std::string describe() const override { return "simulated store"; }
  void put(PutRequest request, StoreCompletion<PutOutcome> completion) override;
  void head(std::string key, StoreCompletion<std::optional<ObjectInfo>> completion) override;
  void get(GetRequest request, StoreCompletion<std::optional<std::string>> completion) override;
  void create_multipart(ObjectName name, StoreCompletion<std::string> completion) override;
  void upload_part(PartRequest request, StoreCompletion<UploadedPart> completion) override;
  void complete_multipart(CompleteRequest request, StoreCompletion<PutOutcome> completion) override;
  void abort_multipart(MultipartUpload upload, StoreCompletion<Nothing> completion) override;
  void list(ListRequest request, StoreCompletion<ObjectPage> completion) override;
  void list_multipart(ListUploadsRequest request, StoreCompletion<UploadPage> completion) override;
  void remove(std::string key, StoreCompletion<Nothing> completion) override;
  void leave_out_conditions() override {
    abilities_.conditional_put = abilities_.conditions_proven = false;
  }
  bool refresh_credentials() override { return remote_.random_.one_in(2); }
  void poll(MonotonicTime until) override;
  void wake() override {}

 private:
  // Completions hold the sender's memory, so they stay here, whatever is on its way outside.
  struct Answers {
    std::map<std::uint64_t, std::function<void()>> waiting;
    std::deque<std::function<void()>> ready;
  };

  template <class T>
  void submit(std::string_view op, const std::string& key, bool writes,
              StoreCompletion<T> completion, std::function<void(StoreResult<T>&)> work);

  RemoteStore& remote_;
  int host_;
  std::function<bool()> halted_;
  Capabilities abilities_;
  std::shared_ptr<Answers> answers_ = std::make_shared<Answers>();
};

}  // namespace sluice::simulation
