// Where what is read lies, and who may spend the last of the memory.
#include <algorithm>
#include <new>
#include <utility>

#include "common/log/log.h"
#include "stages/receive.h"

namespace sluice {
namespace {

constexpr std::size_t kReadBytesMin = 16 * kKiB;

// Whatever became of them.
std::uint64_t pieces_ended(const Connection& connection) {
  return connection.events.load() + connection.malformed.load() + connection.refused.load();
}

}  // namespace

// The machine may have less memory than the budget: that is waited for as room in the budget is.
std::optional<Receiver::Room> Receiver::make_room(const Feed& feed) {
  try {
    return allocate_room(feed);
  } catch (const std::bad_alloc&) {
    log::limited(log::Level::error, "out of memory",
                 {{"advice", "reading waits; lower MEMORY_MAX_BYTES or give the process more"}});
    return std::nullopt;
  }
}

std::optional<Receiver::Room> Receiver::allocate_room(const Feed& feed) {
  if (slab_.size() < std::min(kReadBytesMin, options_.slab_bytes)) {
    auto charge = shared_.ingest.try_charge(options_.slab_bytes);
    if (!charge) {
      return make_privileged_room(feed);
    }
    slab_ = Buffer::allocate(options_.slab_bytes, std::move(*charge));
  }
  const std::size_t bytes = std::min(slab_.size(), options_.read_bytes_max);
  auto carry = shared_.ingest.try_charge(carry_bytes(bytes));
  if (!carry) {
    return make_privileged_room(feed);
  }
  return Room{slab_.share(0, bytes), std::move(*carry), true};
}

std::optional<Receiver::Room> Receiver::make_privileged_room(const Feed& feed) {
  const ConnectionId id = feed.connection->id;
  ConnectionId holder = shared_.privileged.load();
  if (holder != 0 && holder != id) {
    return std::nullopt;
  }
  // Of one event. Once that has ended, what it took comes back by itself, to those who wait; it
  // begins with another where nothing is on the way any more.
  const std::uint64_t pieces = pieces_ended(*feed.connection);
  if (holder == id && pieces != privileged_pieces_ &&
      feed.connection->bytes_in_flight.load() != 0) {
    return std::nullopt;
  }
  const std::size_t bytes = options_.privileged_read_bytes;
  // Both at once, and before the privilege: whatever is given back here wakes those who wait, us
  // among them, for ever.
  auto charge = shared_.ingest.try_charge_reserve(bytes + carry_bytes(bytes));
  if (!charge) {
    return std::nullopt;  // what is in flight comes back first
  }
  if (holder == 0 && !shared_.privileged.compare_exchange_strong(holder, id)) {
    return std::nullopt;  // another thread's connection was faster
  }
  privileged_here_ = id;
  privileged_pieces_ =
      holder == 0 || feed.connection->bytes_in_flight.load() == 0 ? pieces : privileged_pieces_;
  Charge carry = charge->split(carry_bytes(bytes));
  return Room{Buffer::allocate(bytes, std::move(*charge)), std::move(carry), false};
}

void Receiver::release_privilege() {
  if (privileged_here_ == 0) {
    return;
  }
  const auto found = feeds_.find(privileged_here_);
  if (found != feeds_.end()) {
    const Connection& connection = *found->second.connection;
    const bool holds_some =
        connection.bytes_in_flight.load() != 0 || connection.bytes_framing.load() != 0;
    if (holds_some && !shared_.ingest.has_whole_reserve()) {
      return;
    }
  }
  privileged_here_ = 0;
  shared_.privileged.store(0);
  woken_.store(true);
}

}  // namespace sluice
