#include "common/net/proxy_protocol.h"

#include <doctest/doctest.h>

#include <chrono>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "common/base/crc32c.h"

using namespace sluice;
using Kind = ProxyHeader::Kind;

namespace {

constexpr std::string_view kSignature("\r\n\r\n\0\r\nQUIT\n", 12);

ProxyHeader parse(std::string_view text) {
  return parse_proxy_header(std::as_bytes(std::span(text)));
}

std::string big_endian(std::uint32_t value, int bytes) {
  std::string out;
  for (int i = bytes - 1; i >= 0; --i) {
    out.push_back(static_cast<char>(value >> (8 * i)));
  }
  return out;
}

std::string header_2(unsigned command, unsigned family, const std::string& block) {
  std::string out(kSignature);
  out.push_back(static_cast<char>(0x20 | command));
  out.push_back(static_cast<char>(family));
  return out + big_endian(static_cast<std::uint32_t>(block.size()), 2) + block;
}

std::string tlv(unsigned type, const std::string& value) {
  return static_cast<char>(type) + big_endian(static_cast<std::uint32_t>(value.size()), 2) + value;
}

const std::string kAddresses4 =
    std::string("\xC0\x00\x02\x07\xC6\x33\x64\x01", 8) + big_endian(56324, 2) + big_endian(443, 2);

std::string addresses_6(const char* source) {
  const IpBytes ip = parse_ip(source).value();
  return std::string(reinterpret_cast<const char*>(ip.data()), 16) + std::string(16, '\1') +
         big_endian(56324, 2) + big_endian(443, 2);
}

// A header with a checksum TLV between others; `flip` makes it wrong.
std::string with_checksum(bool flip) {
  std::string header = header_2(
      1, 0x11, kAddresses4 + tlv(0x01, "h2") + tlv(0x03, std::string(4, '\0')) + tlv(0xEA, "x"));
  const std::string sum =
      big_endian(crc32c(std::as_bytes(std::span(header))) ^ (flip ? 1U : 0U), 4);
  return header.replace(16 + 12 + 5 + 3, 4, sum);
}

// Of which the last one is right.
std::string with_two_checksums() {
  std::string header =
      header_2(1, 0x11, kAddresses4 + tlv(0x03, "1234") + tlv(0x03, std::string(4, '\0')));
  const std::string sum = big_endian(crc32c(std::as_bytes(std::span(header))), 4);
  return header.replace(header.size() - 4, 4, sum);
}

std::string client_of(const ProxyHeader& header) {
  return header.client ? to_string(*header.client) : "none";
}

// A good header whose client is "192.0.2.7:56324", "[2001:db8::7]:56324", "unix" or "none".
struct Good {
  std::string header;
  std::string client;
};
std::vector<Good> good_headers() {
  const std::string v4 = "192.0.2.7:56324";
  const std::string v6 = "[2001:db8::7]:56324";
  return {
      {"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n", v4},
      {"PROXY TCP6 2001:db8::7 2001:db8::1 56324 443\r\n", v6},
      {"PROXY UNKNOWN\r\n", "none"},
      {"PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
       "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
       "none"},
      {header_2(1, 0x11, kAddresses4), v4},
      {header_2(1, 0x11, kAddresses4 + tlv(0x01, "http/1.1") + tlv(0x04, "") + tlv(0xE0, "?")), v4},
      {header_2(1, 0x21, addresses_6("2001:db8::7")), v6},
      {header_2(1, 0x31, std::string(216, 'p')), "unix"},
      {header_2(1, 0x00, "what it says is ignored"), "none"},
      {header_2(0, 0x00, ""), "none"},
      {header_2(0, 0x11, kAddresses4), "none"},
      {header_2(0, 0xFF, "any"), "none"},
      {with_checksum(false), v4},
      {header_2(1, 0x11, kAddresses4 + tlv(0x04, std::string(kProxyBlockBytesMax - 15, '\0'))), v4},
  };
}

std::vector<std::string> bad_headers() {
  return {
      "PROXY TCP4 2001:db8::7 2001:db8::1 56324 443\r\n",
      "PROXY TCP6 192.0.2.7 198.51.100.1 56324 443\r\n",
      "PROXY TCP4 192.0.2.7 198.51.100.1 56324\r\n",
      "PROXY TCP4 192.0.2.7 198.51.100.1 56324 443 \r\n",
      "PROXY TCP4 192.0.2.7 198.51.100.1 56324 443 1\r\n",
      "PROXY TCP4  192.0.2.7 198.51.100.1 56324 443\r\n",
      "PROXY TCP4 192.0.2.7 198.51.100.1 056324 443\r\n",
      "PROXY TCP4 192.0.2.7 198.51.100.1 65536 443\r\n",
      "PROXY TCP4 192.0.2.7 198.51.100.1 -1 443\r\n",
      "PROXY TCP4 192.0.2.007 198.51.100.1 56324 443\r\n",
      "PROXY TCP6 fe80::1%eth0 2001:db8::1 56324 443\r\n",
      "PROXY TCP6 :: 2001:db8::1 0 443\r\n",       // stands for "not known"
      "PROXY TCP6 ff00::756e:6978 ::1 0 443\r\n",  // stands for "unix"
      "PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\n" + std::string(80, 'x'),
      "PROXY UDP4 192.0.2.7 198.51.100.1 56324 443\r\n",
      "PROXY \r\n",
      "proxy UNKNOWN\r\n",
      "PROXY UNKNOWN " + std::string(92, 'x') + "\r\n",  // 108 bytes
      header_2(2, 0x11, kAddresses4),
      header_2(1, 0x12, kAddresses4),
      header_2(1, 0x41, kAddresses4),
      header_2(1, 0x10, kAddresses4),
      header_2(1, 0x11, kAddresses4.substr(1)),
      header_2(1, 0x21, kAddresses4),
      header_2(1, 0x31, std::string(215, 'p')),
      header_2(1, 0x21, addresses_6("::")),
      header_2(1, 0x21, addresses_6("ff02::1")),
      header_2(1, 0x11, kAddresses4 + "\1"),
      header_2(1, 0x11, kAddresses4 + tlv(1, "h2").substr(0, 4)),
      header_2(1, 0x11, kAddresses4 + tlv(3, "crc")),
      header_2(1, 0x11, kAddresses4 + std::string(kProxyBlockBytesMax - 11, '\0')),
      with_checksum(true),
      with_two_checksums(),
      std::string(kSignature) + "\x11\x11" + big_endian(12, 2) + kAddresses4,
  };
}

}  // namespace

TEST_CASE("a_header_gives_its_client_and_its_length_whatever_follows") {
  for (const Good& good : good_headers()) {
    for (const std::string_view behind : {"", "<EVENT/>", "PROXY UNKNOWN\r\n"}) {
      const ProxyHeader header = parse(good.header + std::string(behind));
      CAPTURE(good.header);
      CHECK(header.kind == Kind::done);
      CHECK(header.bytes == good.header.size());
      CHECK(client_of(header) == good.client);
    }
  }
}

TEST_CASE("what_is_no_header_is_refused_with_a_reason") {
  for (const std::string& bad : bad_headers()) {
    const ProxyHeader header = parse(bad);
    CAPTURE(bad);
    CHECK(header.kind == Kind::invalid);
    CHECK_FALSE(header.reason.empty());
    CHECK_FALSE(header.client);
  }
}

TEST_CASE("n10_on_a_port_that_asks_for_a_header_others_are_refused_by_their_first_bytes") {
  for (const std::string_view other :
       {"GET / HTTP/1.1\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "\x1F\x8B\x08", "\x16\x03\x01\x02",
        "<?xml version=\"1.0\"?>", "POST", "\r\n\r\n<EVENT/>", "\r\nGET", "PROXZ"}) {
    CAPTURE(other);
    CHECK(parse(other).kind == Kind::invalid);
    CHECK(parse(other).reason == "no PROXY protocol header");
  }
}

TEST_CASE("n8_a_header_cut_anywhere_waits_and_then_has_the_same_verdict") {
  std::vector<std::string> headers = bad_headers();
  for (const Good& good : good_headers()) {
    headers.push_back(good.header);
  }
  for (const std::string& header : headers) {
    const std::string text = header + "<EVENT/>";
    const ProxyHeader whole = parse(text);
    CAPTURE(header);
    bool decided = false;
    for (std::size_t cut = 0; cut < text.size(); ++cut) {
      const ProxyHeader part = parse(std::string_view(text).substr(0, cut));
      if (part.kind == Kind::need_more) {
        REQUIRE_FALSE(decided);
        continue;
      }
      decided = true;
      REQUIRE(part.kind == whole.kind);
      REQUIRE(part.bytes == whole.bytes);
      REQUIRE(part.client == whole.client);
      REQUIRE(part.reason == whole.reason);
    }
    // A good header is known by its last byte, not before and not after.
    if (whole.kind == Kind::done) {
      CHECK(parse(std::string_view(header).substr(0, header.size() - 1)).kind == Kind::need_more);
    }
  }
}

// Nothing of it ends in a name of a file or a key; what is printed has the letters of addresses.
TEST_CASE("c2_whatever_a_proxy_says_its_client_prints_as_an_address") {
  const auto seed =
      static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
  MESSAGE("seed " << seed);
  std::mt19937_64 random(seed);
  std::vector<Good> headers = good_headers();
  headers.push_back({header_2(1, 0x31, std::string("../../../etc/passwd").append(197, '\0')), ""});
  int clients = 0;
  for (int round = 0; round < 100'000; ++round) {
    std::string text = headers[random() % headers.size()].header;
    for (int flips = static_cast<int>(random() % 4); flips > 0; --flips) {
      text[random() % text.size()] = static_cast<char>(random());
    }
    const ProxyHeader header = parse(text);
    REQUIRE((header.kind != Kind::need_more || text.size() < kProxyHeaderBytesMax));
    if (header.client) {
      ++clients;
      const std::string printed = to_string(*header.client);
      REQUIRE((printed == "unix" ||
               printed.find_first_not_of("0123456789abcdef.:[]") == std::string::npos));
      REQUIRE(parse_peer_address(printed) == header.client);
    }
  }
  CHECK(clients > 1000);
}
