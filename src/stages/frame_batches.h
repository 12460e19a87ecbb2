// BatchMaker: makes batches of the cuts that one chunk gave, in order: pieces and the separators
// between them go together, what is refused is left out. Lives while a chunk is processed.
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
    Chunk& chunk;     // its carry pays for replies
    Books& books;
    Outbox<SpoolInput>& out;
  };
  // A batch is closed before a piece that would make its run longer than `run_bytes_max`.
  BatchMaker(std::uint32_t run_bytes_max, const Links& links);

  // The next cut, and what the peer will be told of it. Cancelled: nobody takes batches any more.
  Status add(const Cut& cut, std::optional<char> reply = std::nullopt);
  // Sends the last batch, with the chunk's end.
  Status finish();

 private:
  void slice();
  Status send();

  const std::uint32_t run_bytes_max_;
  const Links links_;
  Batch batch_;
  // The part of the run that is not sliced yet.
  std::uint64_t begin_ = 0;
  std::uint64_t end_ = 0;
};

}  // namespace sluice
