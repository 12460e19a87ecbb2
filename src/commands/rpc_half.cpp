#include "commands/rpc_half.h"

#include <algorithm>

namespace sluice {

RpcHalf::RpcHalf(const Config& config, const Clock& clock, Listener& listener)
    : reception_({config, clock, books_, never_pauses_, config.rpc_memory_bytes()}, listener) {
  reception_.add_to(pipeline_, scope_);
  RpcFrameOptions options;
  options.message_bytes_max = static_cast<std::uint32_t>(
      std::min<std::uint64_t>(config.event_bytes_max, RpcConnection::kMessageBytesMax));
  for (std::size_t i = 0; i < reception_.lanes(); ++i) {
    framers_.push_back(std::make_unique<RpcFramer>(options, books_));
    pipeline_.stage(scope_ + "frame-" + std::to_string(i), *framers_.back(), reception_.lane(i),
                    replies_, nullptr);
  }
}

}  // namespace sluice
