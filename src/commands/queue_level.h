// QueueLevel: how full a queue is, for /status.
#pragma once

#include <cstddef>
#include <string>

namespace sluice {

struct QueueLevel {
  std::string name;
  std::size_t size = 0;
  std::size_t capacity = 0;
};

}  // namespace sluice
