// Frame of the logs stream: chunks of many connections in, batches of the lines that are kept out.
// Judges each line, in order, and sends the verdicts along: they are answered once all before them
// is durable. One LogFramer a lane, on the lane's thread; a connection stays on one lane.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/base/cut.h"
#include "common/ndjson/log_line.h"
#include "common/net/rate_limiter.h"
#include "common/pipeline/outbox.h"
#include "common/platform/clock.h"
#include "stages/books.h"
#include "stages/messages.h"

namespace sluice {

struct LogFrameOptions {
  std::uint64_t line_bytes_max = kMiB;  // MAX_MESSAGE_SIZE
  LogLevel least = LogLevel::info;      // MIN_LOG_LEVEL
  // A batch is closed before a line that would make its run longer.
  std::uint32_t run_bytes_max = kMiB;
};

class LogFramer {
 public:
  // What it shares with the other lanes; outlives it.
  struct Links {
    const Clock& clock;
    Books& books;
    RateLimiter* rate_limiter = nullptr;  // none: no limit
  };
  LogFramer(const LogFrameOptions& options, const Links& links);
  ~LogFramer();

  // The Worker concept; common/pipeline/pipeline.h.
  Status process(Chunk chunk, Outbox<SpoolInput>& out);
  // Receive has sent the end of every connection by now.
  Status finish(Outbox<SpoolInput>& out);

 private:
  struct Feed;

  void scan(Feed& feed, ConnectionEnd end);
  [[nodiscard]] std::uint64_t lines_within_limit(const Connection& connection);
  LogVerdict verdict_of(const Feed& feed, const Cut& cut);
  void count(LogVerdict verdict);

  const LogFrameOptions options_;
  const Links links_;
  std::unordered_map<ConnectionId, std::unique_ptr<Feed>> feeds_;
  std::vector<Cut> cuts_;  // of the chunk being processed
  std::string joined_;     // a line that lies in more than one piece of memory
};

}  // namespace sluice
