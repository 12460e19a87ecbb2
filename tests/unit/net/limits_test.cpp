#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "common/net/accept_rate.h"
#include "common/net/connection_limits.h"
#include "common/net/peer_address.h"
#include "common/net/rate_limiter.h"

using namespace sluice;
using namespace std::chrono_literals;

namespace {

constexpr MonotonicTime kStart{1h};

PeerAddress peer_of(std::uint32_t last_bytes) {
  PeerAddress peer;
  peer.ip = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 10};
  peer.ip[13] = static_cast<std::uint8_t>(last_bytes >> 16U);
  peer.ip[14] = static_cast<std::uint8_t>(last_bytes >> 8U);
  peer.ip[15] = static_cast<std::uint8_t>(last_bytes);
  peer.port = 5000;
  return peer;
}

RateLimiter::Key key_of(std::uint32_t last_bytes) {
  return RateLimiter::key_of(peer_of(last_bytes));
}

}  // namespace

TEST_CASE("n9_limits_count_in_all_and_per_address_and_remember_the_gap") {
  ConnectionLimits limits({3, 2});
  CHECK(limits.open(peer_of(1), kStart).admitted);
  CHECK(limits.open(peer_of(1), kStart).admitted);
  const auto refused = limits.open(peer_of(1), kStart);
  CHECK_FALSE(refused.admitted);
  CHECK(refused.refused_by == "MAX_CONNECTIONS_PER_IP");
  CHECK(limits.open(peer_of(2), kStart).admitted);
  CHECK(limits.open(peer_of(3), kStart).refused_by == "MAX_CONNECTIONS");
  limits.close(peer_of(1), kStart + 1s);
  const auto again = limits.open(peer_of(1), kStart + 4s);
  REQUIRE(again.admitted);
  REQUIRE(again.gap);
  CHECK(*again.gap == 3s);
}

TEST_CASE("n9_connections_of_a_proxy_count_as_their_clients") {
  ConnectionLimits limits({10, 1});
  const PeerAddress proxy = peer_of(1);
  const PeerAddress client = peer_of(2);
  CHECK(limits.open(proxy, kStart, ConnectionLimits::Opener::proxy).admitted);
  CHECK(limits.open(proxy, kStart, ConnectionLimits::Opener::proxy).admitted);
  CHECK(limits.pass_on(proxy, client, kStart).admitted);
  CHECK(limits.pass_on(proxy, client, kStart).refused_by == "MAX_CONNECTIONS_PER_IP");
  CHECK(limits.open(client, kStart).refused_by == "MAX_CONNECTIONS_PER_IP");
  limits.close(proxy, kStart);  // the refused one stayed with its proxy
  CHECK(limits.connections() == 1);
  limits.close(client, kStart);
  CHECK(limits.connections() == 0);
  CHECK(limits.open(client, kStart).admitted);
  CHECK(limits.open(proxy, kStart).admitted);  // none of its own is left
}

TEST_CASE("peers_on_unix_sockets_count_in_all_but_not_as_one_address") {
  ConnectionLimits limits({3, 1});
  CHECK(limits.open(kUnixPeer, kStart).admitted);
  CHECK(limits.open(kUnixPeer, kStart).admitted);
  CHECK(limits.open(kUnixPeer, kStart).admitted);
  CHECK(limits.open(kUnixPeer, kStart).refused_by == "MAX_CONNECTIONS");
}

TEST_CASE("n9_no_more_are_accepted_than_a_seconds_worth_and_then_the_rate") {
  AcceptRate rate(4);
  for (int i = 0; i < 4; ++i) {
    CHECK_FALSE(rate.take(kStart));
  }
  const auto next = rate.take(kStart);
  REQUIRE(next);
  CHECK(*next == kStart + 250ms);
  CHECK(rate.take(kStart + 249ms));
  CHECK_FALSE(rate.take(kStart + 250ms));
  CHECK(rate.take(kStart + 250ms));
  // However long nobody came.
  int taken = 0;
  while (!rate.take(kStart + 1h)) {
    ++taken;
  }
  CHECK(taken == 4);
}

TEST_CASE("one_that_was_put_back_can_be_taken_and_no_limit_is_none") {
  AcceptRate rate(1);
  CHECK_FALSE(rate.take(kStart));
  rate.put_back();
  CHECK_FALSE(rate.take(kStart));
  CHECK(rate.take(kStart));
  AcceptRate none(0);
  for (int i = 0; i < 100'000; ++i) {
    REQUIRE_FALSE(none.take(kStart));
  }
}

TEST_CASE("n9_an_accept_rate_holds_over_any_second") {
  AcceptRate rate(100);
  int taken = 0;
  for (auto now = kStart; now < kStart + 10s; now += 1ms) {
    taken += rate.take(now) ? 0 : 1;
  }
  CHECK(taken >= 100 + 999);  // one second's worth was there
  CHECK(taken <= 100 + 1000);
}

TEST_CASE("the_rate_window_is_fixed_and_quiet_addresses_are_forgotten") {
  RateLimiter limiter({10, 1000ms});
  CHECK_FALSE(limiter.count(key_of(1), 9, kStart).used_up_until);
  const auto counted = limiter.count(key_of(1), 1, kStart + 400ms);
  REQUIRE(counted.used_up_until);
  CHECK(*counted.used_up_until == kStart + 1s);
  CHECK_FALSE(limiter.count(key_of(2), 1, kStart + 400ms).used_up_until);
  CHECK_FALSE(limiter.count(key_of(1), 1, kStart + 1s).used_up_until);
  CHECK_FALSE(limiter.count(key_of(3), 1, kStart + 1h).used_up_until);
  CHECK(limiter.keys() == 1);
}

TEST_CASE("as_many_as_the_limit_are_within_and_those_refused_count_too") {
  RateLimiter limiter({10, 1000ms});
  CHECK(limiter.count(key_of(1), 7, kStart).within == 7);
  CHECK(limiter.count(key_of(1), 7, kStart + 100ms).within == 3);
  CHECK(limiter.count(key_of(1), 1, kStart + 999ms).within == 0);
  CHECK(limiter.count(key_of(1), 1, kStart + 999ms).used_up_until == kStart + 1s);
  // From the first event on, not from the refused ones.
  CHECK(limiter.count(key_of(1), 11, kStart + 1s).within == 10);
  CHECK(limiter.count(key_of(1), 1, kStart + 1999ms).within == 0);
}

TEST_CASE("a_name_is_counted_by_itself_and_never_as_an_address") {
  RateLimiter limiter({1, 1000ms});
  PeerAddress other_port = peer_of(1);
  other_port.port = 6000;
  CHECK(limiter.count(key_of(1), 1, kStart).within == 1);
  CHECK(limiter.count(RateLimiter::key_of(other_port), 1, kStart).within == 0);
  const std::string address_as_name(reinterpret_cast<const char*>(peer_of(1).ip.data()), 16);
  CHECK(limiter.count(RateLimiter::key_of(address_as_name), 1, kStart).within == 1);
  const std::string long_name(10'000, 'x');
  CHECK(limiter.count(RateLimiter::key_of(long_name), 1, kStart).within == 1);
  CHECK(limiter.count(RateLimiter::key_of(long_name + "y"), 1, kStart).within == 1);
  CHECK(limiter.count(RateLimiter::key_of(long_name), 1, kStart).within == 0);
}

TEST_CASE("n9_a_million_addresses_take_no_more_memory_than_the_named_limit") {
  RateLimiter limiter({10, 60'000ms});
  std::size_t most = 0;
  for (std::uint32_t i = 0; i < 1'000'000; ++i) {
    (void)limiter.count(key_of(i), 1, kStart + std::chrono::microseconds(i));
    most = std::max(most, limiter.keys());
  }
  CHECK(most == RateLimiter::kKeysMax);
  // The newest are those that are known.
  CHECK(limiter.count(key_of(999'999), 10, kStart + 1s).within == 9);
  CHECK(limiter.count(key_of(0), 10, kStart + 1s).within == 10);
  // When their windows are over they go, a few a call.
  for (std::uint32_t i = 0; i < RateLimiter::kKeysMax; ++i) {
    (void)limiter.count(key_of(1), 1, kStart + 1h);
  }
  CHECK(limiter.keys() == 1);
}

TEST_CASE("a_window_that_begins_anew_holds_up_no_older_one") {
  RateLimiter limiter({10, 1000ms});
  for (std::uint32_t i = 0; i < 20; ++i) {
    (void)limiter.count(key_of(i), 10, kStart);
  }
  for (int calls = 0; calls < 3; ++calls) {  // each forgets some
    CHECK(limiter.count(key_of(10), 1, kStart + 1000ms).within == 1);
  }
  CHECK(limiter.keys() == 1);
}

TEST_CASE("the_oldest_window_is_evicted_and_one_that_began_anew_is_not_old") {
  RateLimiter limiter({10, 1000ms, 2});
  (void)limiter.count(key_of(1), 10, kStart);
  (void)limiter.count(key_of(2), 10, kStart + 900ms);
  (void)limiter.count(key_of(1), 10, kStart + 1000ms);
  (void)limiter.count(key_of(3), 10, kStart + 1001ms);  // in place of 2
  CHECK(limiter.keys() == 2);
  CHECK(limiter.count(key_of(1), 1, kStart + 1002ms).within == 0);
  CHECK(limiter.count(key_of(3), 1, kStart + 1002ms).within == 0);
  CHECK(limiter.count(key_of(2), 1, kStart + 1002ms).within == 1);
}
