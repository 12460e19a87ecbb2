#include "commands/egress_half.h"

#include <algorithm>
#include <string>
#include <thread>

namespace sluice {
namespace {

// Finished blocks of one object wait for each other up to a part: not for most of the memory. S3
// takes no part below 5 MiB.
std::uint64_t part_bytes(const StreamConfig& own) {
  return std::clamp<std::uint64_t>(own.egress_memory_bytes / 8, 5 * kMiB, 16 * kMiB);
}

}  // namespace

EgressHalf::EgressHalf(const Parts& parts, std::unique_ptr<ObjectStore> store)
    : memory_(parts.own.egress_memory_bytes),
      store_(std::move(store)),
      rotate_in_(parts.config.queue_capacity),
      blocks_(parts.config.queue_capacity),
      validated_(parts.config.queue_capacity),
      converted_(parts.config.queue_capacity) {
  pipeline_.adopt(rotate_in_);
  pipeline_.adopt(blocks_);
  pipeline_.adopt(validated_);
  pipeline_.adopt(converted_);
  build_rotate(parts);
  if (parts.own.upload) {
    build_conversion(parts);
    build_upload(parts);
  }
}

void EgressHalf::build_rotate(const Parts& parts) {
  Rotator::Options options;
  // What a segment can hold beyond the size at which it is switched: one group.
  options.segment_allocate_bytes =
      parts.config.segment_bytes_max + 2 * parts.config.spool_sync_bytes;
  options.keeps_locally = !parts.own.upload;
  options.disk.bytes_max = parts.config.spool_bytes_max;
  for (const Stream stream : parts.config.streams()) {
    if (stream != parts.own.stream) {
      options.disk.other = stream;
    }
  }
  options.disk.bytes_in_flight = parts.own.ingest_memory_bytes + 2 * parts.config.segment_bytes_max;
  rotator_ = std::make_unique<Rotator>(
      options, Rotator::Links{parts.spool, parts.stream, parts.prepared, memory_, parts.books,
                              parts.conditions, parts.pause_reading, upload_starved_after_});
  pipeline_.stage(parts.own.scope + "rotate", *rotator_, rotate_in_, blocks_out_,
                  Pipeline::closes([this] { blocks_.close(); }));
}

void EgressHalf::build_conversion(const Parts& parts) {
  const ThreadCounts threads = thread_counts(parts.config, std::thread::hardware_concurrency());
  auto validated_end = Pipeline::closes([this] { validated_.close(); });
  for (unsigned i = 0; i < threads.validate; ++i) {
    validators_.push_back(std::make_unique<Validator>(parts.books));
    pipeline_.stage(parts.own.scope + "validate-" + std::to_string(i), *validators_.back(), blocks_,
                    validated_out_, validated_end);
  }
  auto converted_end = Pipeline::closes([this] { converted_.close(); });
  for (unsigned i = 0; i < threads.convert; ++i) {
    converters_.push_back(std::make_unique<Converter>(parts.books));
    pipeline_.stage(parts.own.scope + "convert-" + std::to_string(i), *converters_.back(),
                    validated_, converted_out_, converted_end);
  }
}

void EgressHalf::build_upload(const Parts& parts) {
  UploadOptions options;
  options.concurrency = parts.own.upload_concurrency;
  options.part_bytes = part_bytes(parts.own);
  options.refusals_max = static_cast<std::uint32_t>(parts.config.retries_max);
  options.retry_base_delay = parts.config.retry_base_delay;
  options.probe_interval = parts.config.config_probe_interval;
  options.seed = static_cast<std::uint64_t>(parts.clock.wall_now().time_since_epoch().count());
  options.stop = &stop_;
  options.leftover_prefixes = {parts.own.prefix, parts.config.quarantine_prefix};
  uploader_ = std::make_unique<Uploader>(
      options, Uploader::Outside{*store_, parts.stream, parts.ledger, parts.books, parts.conditions,
                                 parts.clock, upload_starved_after_, parts.object_ratio});
  pipeline_.stage(parts.own.scope + "upload", *uploader_, converted_, outcomes_out_, nullptr);
}

void EgressHalf::stop() {
  stop_.store(true);
  pipeline_.cancel();
  if (uploader_ != nullptr) {
    uploader_->wake();
  }
  pipeline_.join();
}

std::vector<QueueLevel> EgressHalf::queues() const {
  return {{"rotate", rotate_in_.size(), rotate_in_.capacity()},
          {"validate", blocks_.size(), blocks_.capacity()},
          {"convert", validated_.size(), validated_.capacity()},
          {"upload", converted_.size(), converted_.capacity()}};
}

}  // namespace sluice
