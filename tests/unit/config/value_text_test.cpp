#include "common/config/value_text.h"

#include <doctest/doctest.h>

#include "common/base/units.h"

using namespace sluice;
using std::chrono::milliseconds;

TEST_CASE("sizes_are_bytes_or_carry_a_unit") {
  CHECK(parse_bytes("5242880") == 5 * kMiB);
  CHECK(parse_bytes("5MiB") == 5 * kMiB);
  CHECK(parse_bytes("5 mib") == 5 * kMiB);
  CHECK(parse_bytes("2KiB") == 2048);
  CHECK(parse_bytes("10GiB") == 10 * kGiB);
  CHECK(parse_bytes("0") == 0);
  for (const char* bad : {"", "MiB", "5MB", "5M", "-1", "+1", " 5", "5 ", "5  MiB", "1.5MiB",
                          "0x10", "99999999999999999999", "18446744073709551615KiB"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_bytes(bad));
  }
}

TEST_CASE("sizes_print_as_they_may_be_written") {
  for (const std::uint64_t bytes : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1000}, kKiB,
                                    5 * kMiB, 10 * kGiB, kGiB + 1, 1536 * kKiB}) {
    CHECK(parse_bytes(bytes_text(bytes)) == bytes);
  }
  CHECK(bytes_text(5 * kMiB) == "5MiB");
  CHECK(bytes_text(1000) == "1000");
}

TEST_CASE("switches_are_read_in_any_case") {
  for (const char* yes : {"true", "TRUE", "1", "Yes", "on"}) {
    CHECK(parse_flag(yes) == true);
  }
  for (const char* no : {"false", "False", "0", "NO", "off"}) {
    CHECK(parse_flag(no) == false);
  }
  for (const char* bad : {"", "t", "2", "enabled", "true "}) {
    CHECK_FALSE(parse_flag(bad).has_value());
  }
}

TEST_CASE("times_may_have_fractions_down_to_a_millisecond") {
  const milliseconds second(1000);
  CHECK(parse_duration("60", second) == milliseconds(60000));
  CHECK(parse_duration("1.0", second) == milliseconds(1000));
  CHECK(parse_duration("0.25", second) == milliseconds(250));
  CHECK(parse_duration("50", milliseconds(1)) == milliseconds(50));
  for (const char* bad : {"", ".5", "5.", "-1", "1e3", "0.0001", "1s", "nan", "99999999999"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_duration(bad, second));
  }
  CHECK_FALSE(parse_duration("0.5", milliseconds(1)));
  CHECK(duration_text(milliseconds(60000), second) == "60");
  CHECK(duration_text(milliseconds(250), second) == "0.25");
  CHECK(duration_text(milliseconds(1001), second) == "1.001");
}

TEST_CASE("edit_distance_counts_changes_insertions_and_deletions") {
  CHECK(edit_distance("", "abc") == 3);
  CHECK(edit_distance("kitten", "sitting") == 3);
  CHECK(edit_distance("SPOOL_DIR", "SPOOL_DIR") == 0);
  CHECK(edit_distance("SPOLL_DIR", "SPOOL_DIR") == 1);
}
