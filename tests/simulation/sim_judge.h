// What must be true in the end, whatever happened: of each document by its sender's view, of each
// object by its own.
#pragma once

#include <string>
#include <vector>

#include "fakes/fault_filesystem.h"
#include "simulation/sim_clients.h"
#include "simulation/sim_store.h"

namespace sluice::simulation {

// `uploads`: the store has to have them; else, of logs, the log file alone.
// One sentence for each thing that is wrong; adds to `counts` what there was.
std::vector<std::string> judge(const RemoteStore& remote,
                               const std::vector<FaultFilesystem*>& disks,
                               const Documents& documents, const SegmentSettings& settings,
                               bool uploads, std::map<std::string, std::uint64_t>& counts);

}  // namespace sluice::simulation
