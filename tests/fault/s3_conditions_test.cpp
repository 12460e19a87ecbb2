// If-None-Match against stores that heed it, refuse it, or do neither.
#include <doctest/doctest.h>

#include "common/s3/store_probe.h"
#include "s3_client_fixture.h"

namespace sluice {
namespace {

using s3_client_test::Fixture;
using Kind = StoreErrorKind;

bool unconditional(Fixture& fixture) {
  const auto probes =
      probe_store(**fixture.client, {.prefixes = {"data/", "data/"}, .instance = "a"});
  REQUIRE(probes.size() == 2);
  for (const PrefixProbe& probe : probes) {
    CHECK_FALSE(probe.error);
    CHECK_FALSE(probe.remove_error);
  }
  CHECK(probes[0].unconditional == probes[1].unconditional);
  CHECK(fixture.server.objects().empty());
  return probes[0].unconditional;
}

TEST_CASE("the_probe_finds_out_whether_the_store_heeds_if_none_match") {
  Fixture good;
  CHECK_FALSE(unconditional(good));
  CHECK((*good.client)->capabilities().conditional_put);
  CHECK((*good.client)->capabilities().conditions_proven);
  CHECK(good.server.overwrites() == 0);

  Fixture deaf({}, {"--ignore-conditions"});
  CHECK(unconditional(deaf));
  CHECK_FALSE((*deaf.client)->capabilities().conditional_put);
  CHECK_FALSE((*deaf.client)->capabilities().conditions_proven);
  const std::size_t before = deaf.server.requests().size();
  CHECK(deaf.put("k", "x").ok());
  CHECK_FALSE(deaf.server.requests()[before].at("headers").contains("if-none-match"));

  Fixture ignorant({}, {"--no-conditional"});
  CHECK(unconditional(ignorant));
  CHECK_FALSE((*ignorant.client)->capabilities().conditional_put);
}

TEST_CASE("s6_a_probe_learns_the_clock_and_that_there_are_no_conditions_one_after_the_other") {
  Fixture fixture({}, {"--no-conditional"});
  fixture.clock.advance(std::chrono::hours(24));
  CHECK(unconditional(fixture));

  Fixture wrong_secret({.secret = "wrong"}, {"--no-conditional"});
  wrong_secret.clock.advance(std::chrono::hours(24));
  const auto probes = probe_store(**wrong_secret.client, {.prefixes = {"data/"}, .instance = "a"});
  REQUIRE(probes[0].error);
  CHECK(probes[0].error->code == "SignatureDoesNotMatch");
}

TEST_CASE("a_probe_that_an_earlier_start_left_is_an_answer") {
  Fixture fixture;
  REQUIRE(fixture.put("data/.sluice-probe-a", "x").ok());
  CHECK_FALSE(unconditional(fixture));
  CHECK((*fixture.client)->capabilities().conditional_put);
}

TEST_CASE("without_conditions_no_body_is_sent_again_unseen") {
  Fixture fixture;
  CHECK(fixture.put("a", "x").ok());  // with a condition, of which nothing is known yet
  CHECK_FALSE((*fixture.client)->capabilities().conditions_proven);
  // The kept connection ends after the object was stored: another may write it before a second try.
  fixture.server.fault({{"match", "PUT"}, {"kind", "lost_reply"}});
  CHECK(fixture.kind_of_put("b") == Kind::retry);
  CHECK(fixture.server.requests().size() == 2);
  CHECK(fixture.server.overwrites() == 0);
}

TEST_CASE("a_store_without_conditions_is_written_without_them") {
  Fixture fixture({}, {"--no-conditional"});
  CHECK((*fixture.client)->capabilities().conditional_put);
  CHECK(fixture.kind_of_put("k") == Kind::conflict);
  CHECK_FALSE((*fixture.client)->capabilities().conditional_put);
  CHECK(fixture.put("k", "x").ok());
}

}  // namespace
}  // namespace sluice
