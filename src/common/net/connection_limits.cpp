#include "common/net/connection_limits.h"

#include <algorithm>

#include "common/base/check.h"

namespace sluice {

ConnectionLimits::Admission ConnectionLimits::open(const PeerAddress& peer, MonotonicTime now) {
  const std::scoped_lock lock(mutex_);
  Admission admission;
  if (connections_ >= limits_.connections_max) {
    admission.refused_by = "MAX_CONNECTIONS";
    return admission;
  }
  Address& address = addresses_[peer.ip];
  if (limits_.per_ip_max != 0 && address.open >= limits_.per_ip_max) {
    admission.refused_by = "MAX_CONNECTIONS_PER_IP";
    return admission;
  }
  ++connections_;
  ++address.open;
  admission.admitted = true;
  if (address.last_closed) {
    admission.gap =
        std::chrono::duration_cast<std::chrono::milliseconds>(now - *address.last_closed);
  }
  return admission;
}

void ConnectionLimits::close(const PeerAddress& peer, MonotonicTime now) {
  const std::scoped_lock lock(mutex_);
  const auto found = addresses_.find(peer.ip);
  CHECK_THAT(found != addresses_.end() && found->second.open > 0 && connections_ > 0);
  --connections_;
  --found->second.open;
  found->second.last_closed = now;
  if (addresses_.size() > kAddressesRemembered) {
    std::erase_if(addresses_, [](const auto& entry) { return entry.second.open == 0; });
  }
}

std::uint32_t ConnectionLimits::connections() const {
  const std::scoped_lock lock(mutex_);
  return connections_;
}

}  // namespace sluice
