#include "common/net/allow_list.h"

#include <doctest/doctest.h>

#include <string>

#include "common/net/peer_address.h"

using namespace sluice;

namespace {

PeerAddress at(std::string_view ip) { return {parse_ip(ip).value(), 5000}; }

std::string complaint(std::string_view text) {
  const auto list = AllowList::parse(text);
  return list ? "" : list.error().message;
}

}  // namespace

TEST_CASE("addresses_print_as_people_write_them_and_are_read_again") {
  for (const std::string_view text :
       {"192.0.2.7:5000", "[2001:db8::1]:80", "[::]:0", "[::1]:65535", "0.0.0.0:0", "unix"}) {
    const auto peer = parse_peer_address(text);
    REQUIRE(peer);
    CHECK(to_string(*peer) == text);
  }
  for (const std::string_view text :
       {"", "unix:1", "192.0.2.7", "ab:cd:80", "[192.0.2.7]:80", "::1:80", "192.0.2.7:65536",
        "192.0.2.7:-1", "[fe80::1%lo]:80"}) {
    CHECK_FALSE(parse_peer_address(text));
  }
  CHECK(ip_to_string(at("192.0.2.7")) == "192.0.2.7");
}

TEST_CASE("a_peer_on_a_unix_socket_is_like_no_other_and_like_no_unknown_one") {
  CHECK(is_unix(kUnixPeer));
  CHECK(kUnixPeer != PeerAddress{});  // not known: what a replay has
  CHECK_FALSE(is_unix(PeerAddress{}));
  CHECK(to_string(kUnixPeer) == "unix");
  CHECK(ip_to_string(kUnixPeer) == "unix");
}

TEST_CASE("networks_hold_their_own_and_no_others") {
  const auto list = AllowList::parse("10.0.0.0/8, 192.168.1.7\t2001:db8::/33,");
  REQUIRE(list);
  for (const std::string_view ip :
       {"10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3", "192.168.1.7", "2001:db8:7fff::1"}) {
    CAPTURE(ip);
    CHECK(list->allows(at(ip)));
    CHECK(list->contains(at(ip)));
  }
  for (const std::string_view ip : {"9.255.255.255", "11.0.0.0", "192.168.1.6", "192.168.1.8",
                                    "2001:db8:8000::1", "2001:db7::1", "::10.0.0.1", "::"}) {
    CAPTURE(ip);
    CHECK_FALSE(list->allows(at(ip)));
    CHECK_FALSE(list->contains(at(ip)));
  }
}

TEST_CASE("an_empty_list_allows_everyone_and_names_nobody") {
  for (const std::string_view text : {"", " , \t"}) {
    const auto list = AllowList::parse(text);
    REQUIRE(list);
    CHECK(list->empty());
    CHECK(list->allows(at("192.0.2.7")));
    CHECK_FALSE(list->contains(at("192.0.2.7")));
    CHECK_FALSE(list->contains(kUnixPeer));
  }
}

TEST_CASE("all_of_one_family_is_not_all_of_the_other") {
  const auto v4 = AllowList::parse("0.0.0.0/0");
  const auto v6 = AllowList::parse("::/0");
  REQUIRE(v4);
  REQUIRE(v6);
  CHECK(v4->allows(at("192.0.2.7")));
  CHECK_FALSE(v4->allows(at("2001:db8::1")));
  CHECK(v6->allows(at("2001:db8::1")));
  CHECK_FALSE(v6->allows(at("192.0.2.7")));
  // Written as IPv6, and still IPv4.
  const auto mapped = AllowList::parse("::ffff:192.0.2.0/120");
  REQUIRE(mapped);
  CHECK(mapped->allows(at("192.0.2.7")));
  CHECK_FALSE(mapped->allows(at("192.0.3.7")));
}

TEST_CASE("unix_sockets_are_always_allowed_and_trusted_only_by_name") {
  const auto list = AllowList::parse("10.0.0.0/8");
  const auto with_unix = AllowList::parse("unix, 10.0.0.0/8");
  REQUIRE(list);
  REQUIRE(with_unix);
  CHECK(list->allows(kUnixPeer));
  CHECK_FALSE(list->contains(kUnixPeer));
  CHECK(with_unix->contains(kUnixPeer));
  CHECK(with_unix->contains(at("10.0.0.1")));
  CHECK_FALSE(with_unix->allows(at("11.0.0.1")));
  // Not everyone but those on unix sockets.
  const auto only_unix = AllowList::parse("unix");
  REQUIRE(only_unix);
  CHECK_FALSE(only_unix->allows(at("10.0.0.1")));
}

TEST_CASE("a_bad_entry_is_named_with_what_to_write") {
  CHECK(complaint("10.0.0.0/8, 10.1.2.3/16") ==
        "\"10.1.2.3/16\" has bits set beyond its prefix: write 10.1.0.0/16 for the network or "
        "10.1.2.3 for the one address");
  CHECK(complaint("2001:db8::1/32").find("write 2001:db8::/32 ") != std::string::npos);
  CHECK(complaint("::ffff:10.0.0.1/104").find("write 10.0.0.0/8 ") != std::string::npos);
  for (const std::string_view bad :
       {"10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8x", "10.0.0.0/8/8", "/8"}) {
    CAPTURE(bad);
    CHECK(complaint(bad).starts_with("\"" + std::string(bad) + "\" "));
  }
  for (const std::string_view bad : {"localhost", "10.0.0", "10.0.0.01", "fe80::1%eth0", "[::1]"}) {
    CAPTURE(bad);
    CHECK(complaint(bad).find("10.0.0.0/8") != std::string::npos);
  }
  std::string many;
  for (std::size_t i = 0; i <= AllowList::kEntriesMax; ++i) {
    many += "10.0.0.1,";
  }
  CHECK(complaint(many).find("one entry too many") != std::string::npos);
}
