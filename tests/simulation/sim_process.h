// One process of a simulation: the real workers of every stage but Receive, with the queues between
// them, on one thread. turn() lets one worker do what its thread would do in one turn of its loop
// (common/pipeline/pipeline.h); which one is left to chance. What Receive does is done here: reads
// of any size while memory and disk allow, and the senders' FIN or RST.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/spool/ledger.h"
#include "common/spool/spool_directory.h"
#include "fakes/fault_filesystem.h"
#include "simulation/sim_clients.h"
#include "simulation/sim_store.h"
#include "stages/convert.h"
#include "stages/frame.h"
#include "stages/frame_logs.h"
#include "stages/rotate.h"
#include "stages/spool.h"
#include "stages/upload.h"
#include "stages/validate.h"

namespace sluice::simulation {

// A queue without threads. What a worker pushes beyond the capacity stays: its turn comes again
// only once there is room.
template <class T>
class SimQueue final : public Outbox<T> {
 public:
  explicit SimQueue(std::size_t capacity) : capacity_(capacity) {}

  bool push(T item) override {
    items_.push_back(std::move(item));
    return true;
  }
  bool try_push(T& item) override { return has_room() && push(std::move(item)); }
  [[nodiscard]] bool has_room() const { return items_.size() < capacity_; }
  [[nodiscard]] bool empty() const { return items_.empty(); }
  T pop() { return take(0); }
  // Now and then the second: the first is with another worker of the stage, which is slower.
  T pop_one_of_two(SimRandom& random) {
    return take(items_.size() > 1 && random.one_in(3) ? 1 : 0);
  }

 private:
  T take(std::ptrdiff_t index) {
    T item = std::move(items_[static_cast<std::size_t>(index)]);
    items_.erase(items_.begin() + index);
    return item;
  }

  std::size_t capacity_;
  std::deque<T> items_;
};

struct SimSettings {
  SegmentSettings segment;
  bool strict = false;  // another version: its validator is stricter, its objects' bytes are others
  Stream stream = Stream::xml;
  LogFile::Options log{.path = "/logs/server.log"};  // of the logs stream
  std::size_t queue_capacity = 4;
  std::size_t lanes = 2;
  std::size_t ingest_bytes = 256 * kKiB;
  std::size_t egress_bytes = 8 * kMiB;
  Spooler::Options spooler;
  Rotator::Options rotator;
  UploadOptions upload;
};

class SimProcess {
 public:
  struct World {
    int host = 0;
    FaultFilesystem& disk;
    ManualClock& clock;
    RemoteStore& remote;
    SimRandom& random;
    SimTrace& trace;
    Documents& documents;
  };
  SimProcess(World world, SimSettings settings);
  ~SimProcess();
  SimProcess(const SimProcess&) = delete;
  SimProcess& operator=(const SimProcess&) = delete;

  // Not empty: it refused to start.
  [[nodiscard]] const std::string& refusal() const { return refusal_; }
  // A turn of one worker. False where it had nothing to do.
  bool turn();
  // A turn of each. False where all were idle.
  bool turn_all();
  // Ingest failed for good: the process ends with exit code 4.
  [[nodiscard]] bool failed() const { return failed_; }
  // When there is something to do though nobody brings anything.
  [[nodiscard]] MonotonicTime wake_at() const;

  void connect();
  void read_some();
  void seal_now();
  void rebuild_egress();
  // SIGTERM. ended() once all is through; give_up_draining() is DRAIN_TIMEOUT.
  void begin_drain();
  [[nodiscard]] bool draining() const { return draining_.load(); }
  [[nodiscard]] bool ended() const { return ended_; }
  void give_up_draining();

  [[nodiscard]] const Books& books() const { return books_; }
  [[nodiscard]] std::uint64_t egress_failures() const { return egress_failures_; }
  // Its spool holds nothing that it has given up and not yet sealed.
  [[nodiscard]] bool writes_well() const { return refusal_.empty() && spooler_->wants_input(); }

 private:
  // As EgressLink: Spool reaches the Rotate of the day, or nobody.
  class Link final : public Outbox<FinishedSegment> {
   public:
    explicit Link(SimQueue<RotateInput>& queue) : queue_(queue) {}
    bool push(FinishedSegment segment) override { return try_push(segment); }
    bool try_push(FinishedSegment& segment) override {
      return queue_.has_room() && queue_.push(RotateInput(std::move(segment)));
    }

   private:
    SimQueue<RotateInput>& queue_;
  };
  class Outcomes final : public Outbox<SegmentOutcome> {
   public:
    explicit Outcomes(SimQueue<RotateInput>& queue) : queue_(queue) {}
    bool push(SegmentOutcome outcome) override { return queue_.push(RotateInput(outcome)); }
    bool try_push(SegmentOutcome& outcome) override { return queue_.has_room() && push(outcome); }

   private:
    SimQueue<RotateInput>& queue_;
  };
  // All that a failure of egress takes with it. Its queue from Spool stays: EgressLink's lock.
  struct Egress {
    explicit Egress(SimProcess& process);
    UploadStarvedAfter starved_after{0};
    std::atomic<bool> stop{false};
    MemoryBudget memory;
    SimStore store;
    SimQueue<Block> blocks;
    SimQueue<ValidatedBlock> validated;
    SimQueue<ConvertedBlock> converted;
    Ledger ledger;
    std::optional<Rotator> rotator;
    std::vector<std::unique_ptr<Validator>> validators;
    std::vector<std::unique_ptr<Converter>> converters;
    std::optional<Uploader> uploader;
  };

  // Threads of the process, and what ends it as one.
  [[nodiscard]] std::size_t workers() const { return lanes_.size() + 7; }
  bool turn_of(std::size_t worker);
  bool turn_frame(std::size_t lane);
  bool turn_spool();
  bool turn_rotate();
  bool turn_validate(Validator& validator);
  bool turn_convert(Converter& converter);
  bool turn_upload();
  bool turn_drain();
  void ingest_did(const Status& status);
  void egress_did(const Status& status);
  Status validate_strictly(Validator& validator, Block block);
  void hear(Reply reply);
  void hear_verdicts(SimClient& client, const std::string& verdicts);
  void send_end(SimClient& client, ConnectionEnd end);
  void push_end(SimClient& client, ConnectionEnd end);
  [[nodiscard]] bool halted() const { return world_.disk.powered_off(); }
  void say(std::string_view what) { world_.trace.say(world_.host, what); }

  World world_;
  const SimSettings settings_;
  std::string refusal_;
  bool failed_ = false;
  bool ended_ = false;
  bool frames_finished_ = false;
  bool spool_finished_ = false;
  bool drain_asked_ = false;
  std::uint64_t egress_failures_ = 0;
  ConnectionId connections_ = 0;

  std::unique_ptr<SpoolDirectory> spool_;
  std::unique_ptr<StreamDirectory> stream_;
  Books books_;
  Conditions conditions_;
  MemoryBudget ingest_memory_;
  LiveRatio object_ratio_;
  std::atomic<bool> pause_reading_{false};
  std::atomic<bool> draining_{false};
  BoundedQueue<PreparedSegment> prepared_;
  std::vector<std::unique_ptr<SimQueue<Chunk>>> lanes_;
  SimQueue<SpoolInput> batches_;
  SimQueue<RotateInput> rotate_in_;
  Link link_{rotate_in_};
  Outcomes outcomes_{rotate_in_};
  std::vector<std::unique_ptr<Framer>> framers_;
  std::vector<std::unique_ptr<LogFramer>> log_framers_;  // in their place
  std::optional<SpoolLog> log_;
  std::optional<Spooler> spooler_;
  std::unique_ptr<Egress> egress_;
  std::deque<SimClient> clients_;
};

// SIGTERM in fine weather, and what follows until the process ends.
enum class Drained : std::uint8_t { ended, failed, stuck };
Drained drain(SimProcess& process, ManualClock& clock);

}  // namespace sluice::simulation
