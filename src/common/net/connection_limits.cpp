#include "common/net/connection_limits.h"

#include <algorithm>

#include "common/base/check.h"

namespace sluice {

ConnectionLimits::Admission ConnectionLimits::open(const PeerAddress& peer, MonotonicTime now,
                                                   Opener opener) {
  const std::scoped_lock lock(mutex_);
  if (connections_ >= limits_.connections_max) {
    return {false, "MAX_CONNECTIONS", std::nullopt};
  }
  Address& address = addresses_[peer.ip];
  if (opener == Opener::client && is_full(peer, address)) {
    return {false, "MAX_CONNECTIONS_PER_IP", std::nullopt};
  }
  ++connections_;
  return admit(address, now);
}

ConnectionLimits::Admission ConnectionLimits::pass_on(const PeerAddress& from,
                                                      const PeerAddress& to, MonotonicTime now) {
  const std::scoped_lock lock(mutex_);
  const auto found = addresses_.find(from.ip);
  CHECK_THAT(found != addresses_.end() && found->second.open > 0);
  Address& address = addresses_[to.ip];  // the other one stays where it is: a map
  if (is_full(to, address)) {
    return {false, "MAX_CONNECTIONS_PER_IP", std::nullopt};
  }
  --found->second.open;
  return admit(address, now);
}

bool ConnectionLimits::is_full(const PeerAddress& peer, const Address& address) const {
  return limits_.per_ip_max != 0 && !is_unix(peer) && address.open >= limits_.per_ip_max;
}

ConnectionLimits::Admission ConnectionLimits::admit(Address& address, MonotonicTime now) {
  ++address.open;
  Admission admission{true, {}, std::nullopt};
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
