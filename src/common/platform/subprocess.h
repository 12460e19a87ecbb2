// A command of the operator's, run by /bin/sh, for what it prints.
#pragma once

#include <chrono>
#include <cstddef>
#include <stop_token>
#include <string>

#include "common/base/result.h"
#include "common/base/units.h"

namespace sluice {

struct Subprocess {
  std::string command;
  std::chrono::milliseconds deadline{60'000};
  std::size_t output_bytes_max = 64 * kKiB;
};

// What it wrote to its standard output before it ended with 0. Its standard input is empty, its
// standard error goes nowhere: it may hold secrets. Blocks until it ends; at the deadline, at too
// much output, or when asked to stop, it and its children (its process group) are killed. Errors
// say how it ended and never what it wrote: transient, or cancelled where it was asked to stop.
Result<std::string> run_subprocess(const Subprocess& subprocess, const std::stop_token& stop);

}  // namespace sluice
