// Frame: chunks of many connections in, batches of whole pieces out. Cuts each connection's stream
// the same way wherever its chunks were cut. One Framer a lane, on the lane's thread; a connection
// stays on one lane. Bytes go down as slices of the slabs that they were received into; only the
// unfinished tail of a chunk is copied, right-sized, so that an idle connection holds no slab.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "common/pipeline/outbox.h"
#include "common/xml/xml_framer.h"
#include "stages/books.h"
#include "stages/messages.h"

namespace sluice {

struct FrameOptions {
  FramerLimits limits;
  // A batch is closed before a piece that would make its run longer; one piece may be.
  std::uint32_t run_bytes_max = kMiB;
};

class Framer {
 public:
  Framer(const FrameOptions& options, Books& books);
  ~Framer();

  Status process(Chunk chunk, Outbox<SpoolInput>& out);
  // Receive has sent the end of every connection by now.
  Status finish(Outbox<SpoolInput>& out);

 private:
  struct Feed;

  void scan(Feed& feed, bool at_end);

  const FrameOptions options_;
  Books& books_;
  std::unordered_map<ConnectionId, std::unique_ptr<Feed>> feeds_;
  std::vector<Cut> cuts_;  // of the chunk being processed
};

}  // namespace sluice
