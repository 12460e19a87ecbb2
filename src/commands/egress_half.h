// EgressHalf: Rotate, Validate, Convert and Upload with the queues between them. It works from the
// spool's directory and may be torn down and built again at any time.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "commands/queue_level.h"
#include "common/admin/conditions.h"
#include "common/config/config.h"
#include "common/config/stream_config.h"
#include "common/pipeline/pipeline.h"
#include "common/platform/clock.h"
#include "common/s3/object_store.h"
#include "common/spool/ledger.h"
#include "common/spool/spool_directory.h"
#include "common/spool/stream_directory.h"
#include "stages/books.h"
#include "stages/convert.h"
#include "stages/rotate.h"
#include "stages/upload.h"
#include "stages/validate.h"

namespace sluice {

// Upload tells Rotate what became of a segment.
class OutcomeOutbox final : public Outbox<SegmentOutcome> {
 public:
  explicit OutcomeOutbox(BoundedQueue<RotateInput>& queue) : queue_(queue) {}
  bool push(SegmentOutcome outcome) override { return queue_.push(RotateInput(outcome)); }
  bool try_push(SegmentOutcome& outcome) override {
    RotateInput input(outcome);
    return queue_.try_push(input);
  }

 private:
  BoundedQueue<RotateInput>& queue_;
};

class EgressHalf {
 public:
  // All but the store outlive it.
  struct Parts {
    const Config& config;
    const StreamConfig& own;
    const Clock& clock;
    SpoolDirectory& spool;
    StreamDirectory& stream;
    Ledger& ledger;
    Books& books;
    Conditions& conditions;
    std::atomic<bool>& pause_reading;
    BoundedQueue<PreparedSegment>& prepared;
    LiveRatio& object_ratio;
  };
  // The store is its own: what is in flight when it dies is forgotten with it. None where nothing
  // is uploaded: then there is Rotate alone.
  EgressHalf(const Parts& parts, std::unique_ptr<ObjectStore> store);

  void start() { pipeline_.start(); }
  // Ends it wherever it is, and waits for that.
  void stop();
  BoundedQueue<RotateInput>& inbox() { return rotate_in_; }

  [[nodiscard]] const Pipeline& pipeline() const { return pipeline_; }
  [[nodiscard]] const MemoryBudget& memory() const { return memory_; }
  [[nodiscard]] std::vector<QueueLevel> queues() const;

 private:
  void build_rotate(const Parts& parts);
  void build_conversion(const Parts& parts);
  void build_upload(const Parts& parts);

  std::atomic<bool> stop_{false};
  UploadStarvedAfter upload_starved_after_{0};
  MemoryBudget memory_;  // before the store: what is in flight there is charged to it
  std::unique_ptr<ObjectStore> store_;
  // In flow order.
  BoundedQueue<RotateInput> rotate_in_;
  BoundedQueue<Block> blocks_;
  BoundedQueue<ValidatedBlock> validated_;
  BoundedQueue<ConvertedBlock> converted_;
  QueueOutbox<Block> blocks_out_{blocks_};
  QueueOutbox<ValidatedBlock> validated_out_{validated_};
  QueueOutbox<ConvertedBlock> converted_out_{converted_};
  OutcomeOutbox outcomes_out_{rotate_in_};
  std::unique_ptr<Rotator> rotator_;
  std::vector<std::unique_ptr<Validator>> validators_;
  std::vector<std::unique_ptr<Converter>> converters_;
  std::unique_ptr<Uploader> uploader_;
  Pipeline pipeline_{"egress"};  // last: its threads end before anything else goes
};

}  // namespace sluice
