// What the process says when it ends (docs/operations.md).
#pragma once

namespace sluice {

enum ExitCode : int {
  kExitClean = 0,
  kExitFailed = 1,         // `check` found a fault, a command could not do its job, or the store
                           // refused at the first start
  kExitConfiguration = 2,  // settings or usage
  kExitSpool = 3,          // locked by another instance, or unusable
  kExitHalfFailed = 4,     // ingest failed, or egress again and again
};

}  // namespace sluice
