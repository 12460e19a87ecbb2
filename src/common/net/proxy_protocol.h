// The PROXY protocol, versions 1 and 2 (HAProxy's proxy-protocol.txt of 2020/03/05): what a proxy
// says before the bytes of the connection that it passes on. Only peers that are trusted may say
// it, and those must: nothing here tells a header from a document that looks like one.
// Pure and stateless: in: the bytes so far, out: whether they are a header and whose.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include "common/net/peer_address.h"

namespace sluice {

// Version 1 with its CRLF (section 2.1: "107 chars").
inline constexpr std::size_t kProxyLineBytesMax = 107;
inline constexpr std::size_t kProxyBinaryPrefixBytes = 16;
// Version 2 behind those 16 bytes: addresses and TLVs. The protocol would allow 65,535.
inline constexpr std::size_t kProxyBlockBytesMax = 4096;
// More than this never need be kept to know.
inline constexpr std::size_t kProxyHeaderBytesMax = kProxyBinaryPrefixBytes + kProxyBlockBytesMax;

struct ProxyHeader {
  enum class Kind : unsigned char {
    need_more,  // all right so far
    done,       // the first `bytes` are the header
    invalid,    // never will be one: `reason`; close with a reset
  };
  Kind kind = Kind::need_more;
  std::size_t bytes = 0;
  // Whose connection it is. None: the proxy's own (LOCAL, UNKNOWN, UNSPEC): its address stays.
  std::optional<PeerAddress> client;
  std::string_view reason;  // static
};

// The verdict on the beginning of a connection. Does not depend on where the bytes were cut: a
// longer input with the same beginning gives the same `done` or `invalid`.
[[nodiscard]] ProxyHeader parse_proxy_header(std::span<const std::byte> bytes);

}  // namespace sluice
