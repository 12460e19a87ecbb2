// The probe of multipart uploads, for `sluice check`: what an object needs that does not fit into
// one request.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/s3/store_probe.h"

namespace sluice {

struct MultipartProbe {
  std::string prefix;
  std::optional<StoreError> error;        // an upload cannot begin, or takes no part
  std::optional<StoreError> list_error;   // those that a killed server left cannot be found
  std::optional<StoreError> abort_error;  // nor given up: what we sent stays there
};

// Begins an upload of "<prefix>.sluice-probe-<instance>~parts" under each prefix, sends it a part,
// lists it and aborts it, an attempt each. No object is made. Blocks, driving poll(); no other
// request may be in flight.
std::vector<MultipartProbe> probe_multipart(ObjectStore& store, const StoreProbe& probe);

}  // namespace sluice
