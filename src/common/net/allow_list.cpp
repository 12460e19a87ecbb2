#include "common/net/allow_list.h"

#include <algorithm>
#include <charconv>
#include <string>

namespace sluice {
namespace {

constexpr std::string_view kSeparators = ", \t\r\n";
constexpr std::uint8_t kMappedBits = 96;  // those before an IPv4 address

IpBytes masked(const IpBytes& ip, std::uint8_t prefix_bits) {
  IpBytes network{};
  for (std::size_t i = 0; i < network.size(); ++i) {
    const int bits = std::clamp<int>(prefix_bits - static_cast<int>(8 * i), 0, 8);
    network[i] = static_cast<std::uint8_t>(ip[i] & (0xFF00U >> bits));
  }
  return network;
}

Error fault(std::string_view entry, const std::string& what) {
  constexpr std::size_t kEntryShownMax = 64;
  return fatal("\"" + std::string(entry.substr(0, kEntryShownMax)) + "\" " + what);
}

}  // namespace

Result<AllowList::Network> AllowList::parse_network(std::string_view entry) {
  const std::size_t slash = entry.find('/');
  const auto ip = parse_ip(entry.substr(0, slash));
  if (!ip) {
    return fault(entry,
                 "is no address and no network (names are not looked up): write it like "
                 "192.168.1.7, 10.0.0.0/8, 2001:db8::/32 or unix");
  }
  // An IPv4-mapped address is written with a colon, its prefix counted as IPv6 does.
  const bool v4 = entry.find(':') == std::string_view::npos;
  const unsigned bits_max = v4 ? 32 : 128;
  unsigned bits = bits_max;
  if (slash != std::string_view::npos) {
    const std::string_view text = entry.substr(slash + 1);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bits);
    if (error != std::errc() || end != text.data() + text.size() || bits > bits_max) {
      return fault(entry, "has a prefix that is no number from 0 to " + std::to_string(bits_max));
    }
  }
  const auto prefix_bits = static_cast<std::uint8_t>(v4 ? kMappedBits + bits : bits);
  const IpBytes network = masked(*ip, prefix_bits);
  if (network != *ip) {
    // What prints as IPv4 has its prefix counted so, too.
    const unsigned shown = is_mapped_v4(network) ? prefix_bits - kMappedBits : bits;
    return fault(entry, "has bits set beyond its prefix: write " + ip_to_string({network, 0}) +
                            "/" + std::to_string(shown) + " for the network or " +
                            ip_to_string({*ip, 0}) + " for the one address");
  }
  return Network{network, prefix_bits};
}

Result<AllowList> AllowList::parse(std::string_view text) {
  AllowList list;
  for (;;) {
    const std::size_t begin = text.find_first_not_of(kSeparators);
    if (begin == std::string_view::npos) {
      return list;
    }
    const std::string_view entry =
        text.substr(begin, std::min(text.find_first_of(kSeparators, begin), text.size()) - begin);
    text.remove_prefix(begin + entry.size());
    if (entry == "unix") {
      list.unix_ = true;
      continue;
    }
    if (list.networks_.size() == kEntriesMax) {
      return fault(entry, "is one entry too many: a list has at most " +
                              std::to_string(kEntriesMax) + "; write larger networks");
    }
    auto network = parse_network(entry);
    if (!network) {
      return network.error();
    }
    list.networks_.push_back(*network);
  }
}

bool AllowList::allows(const PeerAddress& peer) const {
  return empty() || is_unix(peer) || contains(peer);
}

bool AllowList::contains(const PeerAddress& peer) const {
  if (is_unix(peer)) {
    return unix_;
  }
  const bool v4 = is_mapped_v4(peer.ip);
  return std::any_of(networks_.begin(), networks_.end(), [&](const Network& network) {
    return (!v4 || network.prefix_bits >= kMappedBits) &&
           masked(peer.ip, network.prefix_bits) == network.ip;
  });
}

}  // namespace sluice
