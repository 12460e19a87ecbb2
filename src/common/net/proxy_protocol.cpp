#include "common/net/proxy_protocol.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstring>

#include "common/base/crc32c.h"

namespace sluice {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::string_view kLineSignature = "PROXY ";
constexpr std::string_view kBinarySignature("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr std::size_t kTlvHeaderBytes = 3;
constexpr unsigned kTlvCrc32c = 0x03;  // PP2_TYPE_CRC32C

ProxyHeader invalid(std::string_view reason) {
  return {ProxyHeader::Kind::invalid, 0, std::nullopt, reason};
}

ProxyHeader done(std::size_t bytes, std::optional<PeerAddress> client) {
  return {ProxyHeader::Kind::done, bytes, client, {}};
}

// Of TCP. No client sends from :: or from a multicast address, and both mean something else here
// (peer_address.h).
ProxyHeader done_with_ip(std::size_t bytes, const PeerAddress& client) {
  if (client.ip == IpBytes{} || client.ip.front() == 0xFF) {
    return invalid("the client's address is none that a client can have");
  }
  return done(bytes, client);
}

std::uint8_t u8(Bytes bytes, std::size_t at) { return std::to_integer<std::uint8_t>(bytes[at]); }

std::uint16_t u16(Bytes bytes, std::size_t at) {
  return static_cast<std::uint16_t>(u8(bytes, at) << 8U | u8(bytes, at + 1));
}

// The word up to the next space, which goes too.
std::string_view take_word(std::string_view& line) {
  const std::size_t space = std::min(line.find(' '), line.size());
  const std::string_view word = line.substr(0, space);
  line.remove_prefix(std::min(space + 1, line.size()));
  return word;
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() ||
      (text.size() > 1 && text.front() == '0')) {
    return std::nullopt;
  }
  return port;
}

// Section 2.1. `line` is without its CRLF, `bytes` counts it.
ProxyHeader parse_line(std::string_view line, std::size_t bytes) {
  // Each word ends at one space: a last space would be one word more.
  const bool ends_in_space = line.ends_with(' ');
  line.remove_prefix(kLineSignature.size());
  const std::string_view family = take_word(line);
  if (family == "UNKNOWN") {
    return done(bytes, std::nullopt);
  }
  if (family != "TCP4" && family != "TCP6") {
    return invalid("the family is none of TCP4, TCP6 and UNKNOWN");
  }
  const bool v6 = family == "TCP6";
  const std::string_view source = take_word(line);
  const std::string_view destination = take_word(line);
  for (const std::string_view address : {source, destination}) {
    if (!parse_ip(address) || (address.find(':') != std::string_view::npos) != v6) {
      return invalid("an address is none of its family");
    }
  }
  const auto source_port = parse_port(take_word(line));
  const auto destination_port = parse_port(take_word(line));
  if (!source_port || !destination_port) {
    return invalid("a port is no number from 0 to 65535");
  }
  if (!line.empty() || ends_in_space) {
    return invalid("the line goes on behind the ports");
  }
  return done_with_ip(bytes, PeerAddress{*parse_ip(source), *source_port});
}

ProxyHeader parse_version_1(Bytes bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()),
                              std::min(bytes.size(), kProxyLineBytesMax));
  const std::size_t end = text.find("\r\n");
  if (end != std::string_view::npos) {
    return parse_line(text.substr(0, end), end + 2);
  }
  return text.size() < kProxyLineBytesMax ? ProxyHeader{}
                                          : invalid("no CRLF within the first 107 bytes");
}

// Section 2.2.4: a length that fits each TLV, and the checksum where there is one, over the header
// with zeros in its place. None: nothing to say against them.
std::string_view complaint_of_tlvs(Bytes header, std::size_t at) {
  std::optional<std::size_t> checksum_at;
  while (at < header.size()) {
    if (header.size() - at < kTlvHeaderBytes ||
        header.size() - at - kTlvHeaderBytes < u16(header, at + 1)) {
      return "a TLV is longer than the header";
    }
    if (u8(header, at) == kTlvCrc32c) {
      if (checksum_at || u16(header, at + 1) != sizeof(std::uint32_t)) {
        return "the checksum is given twice or in a wrong length";
      }
      checksum_at = at + kTlvHeaderBytes;
    }
    at += kTlvHeaderBytes + u16(header, at + 1);
  }
  if (!checksum_at) {
    return {};
  }
  constexpr std::array<std::byte, sizeof(std::uint32_t)> kZeros{};
  const std::uint32_t computed = crc32c(header.subspan(*checksum_at + kZeros.size()),
                                        crc32c(kZeros, crc32c(header.first(*checksum_at))));
  const std::uint32_t given =
      static_cast<std::uint32_t>(u16(header, *checksum_at)) << 16U | u16(header, *checksum_at + 2);
  return computed == given ? std::string_view() : "the checksum is wrong";
}

// What a family's addresses look like (section 2.2, "transport protocol and address family"); the
// source's is first.
struct Family {
  std::uint8_t code;  // with SOCK_STREAM
  std::size_t address_bytes;
  std::size_t block_bytes;
};
constexpr std::uint8_t kUnixStream = 0x31;
constexpr std::array<Family, 3> kFamilies{
    {{0x11, 4, 12}, {0x21, 16, 36}, {kUnixStream, 108, 216}}};  // the first two: TCP4, TCP6

// Whose connection a whole header of `family` says it is.
ProxyHeader done_with_source(const Family& family, Bytes header) {
  if (family.code == kUnixStream) {
    return done(header.size(), kUnixPeer);
  }
  PeerAddress client;
  const std::size_t from = client.ip.size() - family.address_bytes;
  if (from > 0) {
    client.ip[10] = client.ip[11] = 0xFF;
  }
  std::memcpy(client.ip.data() + from, header.data() + kProxyBinaryPrefixBytes,
              family.address_bytes);
  client.port = u16(header, kProxyBinaryPrefixBytes + 2 * family.address_bytes);
  return done_with_ip(header.size(), client);
}

// Section 2.2.
ProxyHeader parse_version_2(Bytes bytes) {
  if (bytes.size() < kProxyBinaryPrefixBytes) {
    return {};
  }
  const unsigned version = u8(bytes, 12) >> 4U;
  const unsigned command = u8(bytes, 12) & 0x0FU;  // 0 LOCAL, 1 PROXY
  const std::uint8_t code = u8(bytes, 13);
  const std::size_t block_bytes = u16(bytes, 14);
  if (version != 2 || command > 1) {
    return invalid("the version is not 2, or the command neither LOCAL nor PROXY");
  }
  if (block_bytes > kProxyBlockBytesMax) {
    return invalid("longer than 4096 bytes of addresses and TLVs");
  }
  const auto* const family = std::find_if(kFamilies.begin(), kFamilies.end(),
                                          [&](const Family& one) { return one.code == code; });
  const bool says_whose = command == 1 && code != 0;  // else all of the block is to be ignored
  if (says_whose && family == kFamilies.end()) {
    return invalid("the family is none of TCP4, TCP6, UNIX stream and UNSPEC");
  }
  if (says_whose && block_bytes < family->block_bytes) {
    return invalid("shorter than the addresses of its family");
  }
  const std::size_t header_bytes = kProxyBinaryPrefixBytes + block_bytes;
  if (bytes.size() < header_bytes) {
    return {};
  }
  const Bytes header = bytes.first(header_bytes);
  if (!says_whose) {
    return done(header_bytes, std::nullopt);
  }
  const std::string_view complaint =
      complaint_of_tlvs(header, kProxyBinaryPrefixBytes + family->block_bytes);
  return complaint.empty() ? done_with_source(*family, header) : invalid(complaint);
}

bool begins_like(Bytes bytes, std::string_view signature) {
  const std::size_t compared = std::min(bytes.size(), signature.size());
  return std::memcmp(bytes.data(), signature.data(), compared) == 0;
}

}  // namespace

ProxyHeader parse_proxy_header(std::span<const std::byte> bytes) {
  if (bytes.empty()) {
    return {};
  }
  if (begins_like(bytes, kLineSignature)) {
    return parse_version_1(bytes);
  }
  if (begins_like(bytes, kBinarySignature)) {
    return bytes.size() < kBinarySignature.size() ? ProxyHeader{} : parse_version_2(bytes);
  }
  return invalid("no PROXY protocol header");
}

}  // namespace sluice
