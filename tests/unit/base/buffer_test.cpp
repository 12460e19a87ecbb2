#include "common/base/buffer.h"

#include <doctest/doctest.h>

using namespace sluice;

TEST_CASE("the_charge_lives_as_long_as_the_last_view") {
  MemoryBudget budget(64);
  Buffer whole = Buffer::copy_of(as_bytes("hello, world"), std::move(*budget.try_charge(12)));
  Buffer part = whole.share(7, 5);
  CHECK(part.text() == "world");
  CHECK(part.capacity() == 12);
  whole.reset();
  CHECK(budget.bytes_used() == 12);
  CHECK(part.text() == "world");
  part.remove_prefix(1);
  part.truncate(3);
  CHECK(part.text() == "orl");
  part.reset();
  CHECK(budget.bytes_used() == 0);
}

TEST_CASE("an_empty_buffer_is_harmless") {
  Buffer none;
  CHECK(none.empty());
  CHECK(none.capacity() == 0);
  CHECK(none.share(0, 0).empty());
}
