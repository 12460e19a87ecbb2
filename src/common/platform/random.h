// Where random ids come from: getrandom(2), or a seeded generator in tests and the simulator.
#pragma once

#include <cstdint>
#include <functional>

namespace sluice {

// 64 random bits a call; thread-safe.
using Random64 = std::function<std::uint64_t()>;

Random64 system_random();

}  // namespace sluice
