// AllowList: which peers may come, as a list of networks: ALLOW_FROM, and the trusted peers of
// PROXY_FROM. In: the text of the setting and addresses; out: yes or no. Immutable and copyable, so
// that a reload swaps one for another.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/net/peer_address.h"

namespace sluice {

class AllowList {
 public:
  static constexpr std::size_t kEntriesMax = 4096;

  // Empty: allows() everyone, contains() nobody.
  AllowList() = default;

  // "10.0.0.0/8, 192.168.1.7 2001:db8::/32": addresses and CIDR networks (RFC 4632; RFC 4291, 2.3),
  // IPv4 and IPv6, apart by commas or spaces; the word "unix" stands for peers on unix sockets. An
  // error (fatal) names the entry and says what to write.
  static Result<AllowList> parse(std::string_view text);

  // True for everyone where the list is empty. A peer on a unix socket always may: the socket's
  // file says who.
  [[nodiscard]] bool allows(const PeerAddress& peer) const;
  // Whether an entry names the peer. IPv4 peers are named by IPv4 entries alone ("::/0" has none),
  // however they came: 10.0.0.1 and ::ffff:10.0.0.1 are one address.
  [[nodiscard]] bool contains(const PeerAddress& peer) const;
  [[nodiscard]] bool empty() const { return networks_.empty() && !unix_; }

 private:
  struct Network {
    IpBytes ip{};  // as a peer's; the bits beyond the prefix are 0
    std::uint8_t prefix_bits = 0;
  };
  static Result<Network> parse_network(std::string_view entry);

  std::vector<Network> networks_;
  bool unix_ = false;
};

}  // namespace sluice
