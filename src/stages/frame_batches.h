// BatchMaker: makes batches of the cuts that one chunk gave, in order: pieces and the separators
// between them go together, what is refused is left out. Keeps the account of the feed's bytes.
// Lives while a chunk is processed, from when the feed has taken it.
#pragma once

#include <cstdint>
#include <optional>

#include "common/base/cut.h"
#include "common/pipeline/outbox.h"
#include "stages/books.h"
#include "stages/frame_bytes.h"
#include "stages/messages.h"

namespace sluice {

class BatchMaker {
 public:
  struct Links {
    FeedBytes& feed;  // its tail is frozen here
    Chunk& chunk;     // its carry pays for replies, and for what is kept
    Books& books;
    Outbox<SpoolInput>& out;
  };
  // Bytes from `hold_from` on are being framed: said at once, so that who sees an event of the
  // batches sees that its bytes are framed. A batch is closed before a piece that would make its
  // run longer than `run_bytes_max`.
  BatchMaker(std::uint32_t run_bytes_max, std::uint64_t hold_from, const Links& links);

  // The next cut, and what the peer will be told of it. Cancelled: nobody takes batches any more.
  Status add(const Cut& cut, std::optional<char> reply = std::nullopt);
  // Sends the last batch, with the chunk's end, and lets go of all that is not being framed.
  Status finish();

 private:
  void slice();
  Status send();

  const std::uint32_t run_bytes_max_;
  const std::uint64_t hold_from_;
  const Links links_;
  Batch batch_;
  // The part of the run that is not sliced yet.
  std::uint64_t begin_ = 0;
  std::uint64_t end_ = 0;
};

}  // namespace sluice
