// The books as /status and /metrics show them. Thread-safe: the counters are atomics.
#pragma once

#include <nlohmann/json.hpp>

#include "common/admin/conditions.h"
#include "common/admin/metrics_page.h"
#include "common/base/ids.h"
#include "common/pipeline/pipeline.h"
#include "stages/books.h"

namespace sluice {

// How far the books are from balance; 0 and 0 when the pipeline is at rest and nothing is wrong.
// While it works, what is between two stages, which each count on their own thread, shows here.
struct BooksDifference {
  // received - (in batches + being framed + separators + refused + transport)
  std::int64_t bytes = 0;
  // found at start + durable - (uploaded + quarantined + in the spool + set aside + lost to damage
  // + kept locally)
  std::int64_t pieces = 0;
};
BooksDifference difference_of(const Books& books);

// All by which the books do not balance once both halves have ended, as magnitudes: the above, and
// what was framed and is neither durable nor counted as dropped. 0, or a bug.
std::uint64_t difference_at_end(const Books& books);

// Every counter by its name, and "difference": the sum of both as magnitudes.
nlohmann::json books_to_json(const Books& books);
// sluice_<counter>_total{stream="<name>"}; gauges without _total.
void add_books_metrics(const Books& books, std::string_view name, MetricsPage& page);

// [{"name", "severity", "message", "since"}]
nlohmann::json conditions_to_json(const Conditions& conditions);

// [{"name", "heartbeat_age_ms", "waiting", "ended"}]
nlohmann::json threads_to_json(const Pipeline& pipeline, MonotonicTime now);

}  // namespace sluice
