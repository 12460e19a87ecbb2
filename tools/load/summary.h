// What sluice-load says at its end, as text or as a JSON object.
#pragma once

#include <string>

#include "load.h"
#include "options.h"

namespace sluice::load {

// Lines with their ends.
std::string summary_text(const Options& options, const Load& load);
// {"protocol": …, "sent": …, "bytes": …, "seconds": …, "per_second": …, "connections": {"fin": …,
// "rst": …, "failed": …}}; of logs and rpc also "answers": {"as_expected": …, "others": …,
// "missing": …, "by_kind": {…}} and "latency_ms": {"p50": …, "p99": …, "p99.9": …, "max": …}.
std::string summary_json(const Options& options, const Load& load);

}  // namespace sluice::load
