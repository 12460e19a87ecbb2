#include "common/base/memory_budget.h"

#include <doctest/doctest.h>

using namespace sluice;

TEST_CASE("a_budget_gives_no_more_than_it_has_and_gets_it_back") {
  MemoryBudget budget(100);
  auto first = budget.try_charge(60);
  REQUIRE(first);
  CHECK_FALSE(budget.try_charge(41));
  auto second = budget.try_charge(40);
  REQUIRE(second);
  CHECK(budget.bytes_used() == 100);
  first->release();
  CHECK(budget.bytes_used() == 40);
  CHECK(budget.bytes_peak() == 100);
}

TEST_CASE("the_reserve_is_for_the_privileged_only") {
  MemoryBudget budget(100, 30);
  CHECK_FALSE(budget.try_charge(71));
  auto plain = budget.try_charge(70);
  REQUIRE(plain);
  CHECK_FALSE(budget.try_charge(1));
  auto privileged = budget.try_charge_reserve(30);
  REQUIRE(privileged);
  CHECK_FALSE(budget.try_charge_reserve(1));
}

TEST_CASE("a_release_after_a_refusal_calls_the_listener_once") {
  MemoryBudget budget(10);
  int calls = 0;
  budget.add_release_listener([&] { ++calls; });
  auto all = budget.try_charge(10);
  all->shrink_to(9);
  CHECK(calls == 0);
  CHECK_FALSE(budget.try_charge(5));
  all->shrink_to(8);
  CHECK(calls == 1);
  all->shrink_to(7);
  CHECK(calls == 1);
}

TEST_CASE("charges_split_and_merge_without_loss") {
  MemoryBudget budget(100);
  Charge whole = std::move(*budget.try_charge(100));
  Charge part = whole.split(30);
  CHECK(whole.bytes() == 70);
  CHECK(part.bytes() == 30);
  CHECK(budget.bytes_used() == 100);
  whole.merge(std::move(part));
  CHECK(whole.bytes() == 100);
  Charge moved = std::move(whole);
  moved.release();
  CHECK(budget.bytes_used() == 0);
  Charge over = budget.charge_anyway(150);
  CHECK(budget.bytes_used() == 150);
}
