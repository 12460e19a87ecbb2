#include "stages/frame.h"

#include "common/base/check.h"
#include "stages/frame_batches.h"
#include "stages/frame_bytes.h"

namespace sluice {

// One connection: its framer and its bytes.
struct Framer::Feed {
  explicit Feed(const FramerLimits& limits) : framer(limits) {}

  XmlFramer framer;
  FeedBytes bytes;
};

Framer::Framer(const FrameOptions& options, Books& books) : options_(options), books_(books) {
  CHECK_THAT(options_.run_bytes_max + options_.limits.event_bytes_max < (std::uint64_t{1} << 31));
}

Framer::~Framer() = default;

Status Framer::process(Chunk chunk, Outbox<SpoolInput>& out) {
  auto& slot = feeds_[chunk.connection->id];
  if (slot == nullptr) {
    slot = std::make_unique<Feed>(options_.limits);
  }
  Feed& feed = *slot;
  FeedBytes& bytes = feed.bytes;
  const bool at_end = chunk.end != ConnectionEnd::open;
  bytes.take(chunk);
  scan(feed, at_end);
  if (feed.framer.refuses()) {
    chunk.connection->refuse.store(true, std::memory_order_relaxed);
  }
  const std::uint64_t hold_from = at_end ? bytes.end() : feed.framer.hold_from();
  BatchMaker batches(options_.run_bytes_max, hold_from, {bytes, chunk, books_, out});
  for (const Cut& cut : cuts_) {
    if (Status status = batches.add(cut); !status) {
      return status;
    }
  }
  if (Status status = batches.finish(); !status) {
    return status;
  }
  if (at_end) {
    feeds_.erase(chunk.connection->id);
  }
  return {};
}

// Fills cuts_.
void Framer::scan(Feed& feed, bool at_end) {
  cuts_.clear();
  do {
    while (feed.framer.position() < feed.bytes.end()) {
      feed.framer.scan(feed.bytes.bytes_from(feed.framer.position()), cuts_);
    }
  } while (at_end && !feed.framer.finish(cuts_));
}

Status Framer::finish(Outbox<SpoolInput>& /*out*/) {
  feeds_.clear();
  return {};
}

}  // namespace sluice
