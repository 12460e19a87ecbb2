#include "stages/frame_logs.h"

#include <algorithm>
#include <utility>

#include "common/ndjson/line_framer.h"
#include "stages/frame_batches.h"
#include "stages/frame_bytes.h"

namespace sluice {
namespace {

// Of a line that is not kept but for its length; its last part is answered.
bool is_answered(const Cut& cut) { return !cut.refused || !cut.continues; }

}  // namespace

// One connection: its framer and its bytes.
struct LogFramer::Feed {
  explicit Feed(std::uint64_t line_bytes_max) : framer(line_bytes_max) {}

  LineFramer framer;
  FeedBytes bytes;
};

LogFramer::LogFramer(const LogFrameOptions& options, const Links& links)
    : options_(options), links_(links) {}

LogFramer::~LogFramer() = default;

Status LogFramer::process(Chunk chunk, Outbox<SpoolInput>& out) {
  auto& slot = feeds_[chunk.connection->id];
  if (slot == nullptr) {
    slot = std::make_unique<Feed>(options_.line_bytes_max);
  }
  Feed& feed = *slot;
  FeedBytes& bytes = feed.bytes;
  const bool at_end = chunk.end != ConnectionEnd::open;
  bytes.take(chunk);
  scan(feed, chunk.end);
  const std::uint64_t hold_from = at_end ? bytes.end() : feed.framer.hold_from();

  std::uint64_t within_limit = lines_within_limit(*chunk.connection);
  BatchMaker batches(options_.run_bytes_max, hold_from, {bytes, chunk, links_.books, out});
  for (Cut& cut : cuts_) {
    std::optional<char> reply;
    if (is_answered(cut)) {
      const LogVerdict verdict =
          within_limit > 0 ? verdict_of(feed, cut) : LogVerdict::rate_limited;
      within_limit -= within_limit > 0 ? 1 : 0;
      count(verdict);
      cut.refused = verdict != LogVerdict::received;
      reply = static_cast<char>(verdict);
    }
    if (Status status = batches.add(cut, reply); !status) {
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

// Fills cuts_. A line without its LF is one where the peer said that it was its last; of any other
// end it may be the beginning of a longer one, so it is not kept, and nobody is there to answer.
void LogFramer::scan(Feed& feed, ConnectionEnd end) {
  cuts_.clear();
  while (feed.framer.position() < feed.bytes.end()) {
    feed.framer.scan(feed.bytes.bytes_from(feed.framer.position()), cuts_);
  }
  if (end == ConnectionEnd::open) {
    return;
  }
  const std::size_t whole = cuts_.size();
  (void)feed.framer.finish(cuts_);
  if (end != ConnectionEnd::finished) {
    for (std::size_t i = whole; i < cuts_.size(); ++i) {
      cuts_[i].refused = true;
      cuts_[i].continues = true;  // no part of it is answered
    }
  }
}

// Of those in cuts_, from the first. All of them count, so that who sends too much goes on being
// refused.
std::uint64_t LogFramer::lines_within_limit(const Connection& connection) {
  const auto lines =
      static_cast<std::uint64_t>(std::count_if(cuts_.begin(), cuts_.end(), is_answered));
  if (links_.rate_limiter == nullptr || lines == 0) {
    return lines;
  }
  return links_.rate_limiter->count(connection.rate_key, lines, links_.clock.now()).within;
}

LogVerdict LogFramer::verdict_of(const Feed& feed, const Cut& cut) {
  if (cut.refused) {
    return LogVerdict::invalid_json;  // over MAX_MESSAGE_SIZE
  }
  std::span<const std::byte> first = feed.bytes.bytes_from(cut.begin);
  if (first.size() >= cut.length) {
    return check_log_line(as_text(first.first(cut.length)), options_.least);
  }
  joined_.clear();
  while (joined_.size() < cut.length) {
    const auto part = feed.bytes.bytes_from(cut.begin + joined_.size());
    joined_ += as_text(part.first(std::min<std::size_t>(part.size(), cut.length - joined_.size())));
  }
  return check_log_line(joined_, options_.least);
}

void LogFramer::count(LogVerdict verdict) {
  Books& books = links_.books;
  switch (verdict) {
    case LogVerdict::received:
      return;  // counted as framed
    case LogVerdict::filtered:
      books.lines_filtered.fetch_add(1, std::memory_order_relaxed);
      return;
    case LogVerdict::rate_limited:
      books.lines_rate_limited.fetch_add(1, std::memory_order_relaxed);
      return;
    case LogVerdict::invalid_json:
    case LogVerdict::missing_fields:
    case LogVerdict::not_an_object:
      books.lines_invalid.fetch_add(1, std::memory_order_relaxed);
      return;
  }
}

Status LogFramer::finish(Outbox<SpoolInput>& /*out*/) {
  feeds_.clear();
  return {};
}

}  // namespace sluice
