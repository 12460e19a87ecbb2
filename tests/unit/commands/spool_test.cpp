#include "commands/spool.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "common/platform/posix_filesystem.h"
#include "scratch_directory.h"
#include "segment_builder.h"

using namespace sluice;

namespace {

struct Fixture {
  Fixture() { REQUIRE(filesystem.create_directories(scratch.path() / "xml").ok()); }
  void flip_byte(const SegmentHeader& header, std::uint64_t at) const {
    std::fstream file(segment_path(scratch.path() / "xml", header.id),
                      std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(at));
    const int byte = file.get();
    file.seekp(static_cast<std::streamoff>(at));
    file.put(static_cast<char>(byte ^ 1));
  }
  ScratchDirectory scratch;
  PosixFilesystem filesystem;
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "ls_cat_and_verify_show_a_sealed_an_open_and_a_prepared_segment") {
  SegmentBuilder sealed(filesystem, scratch.path() / "xml", test_header(1));
  sealed.group({{"<a/>", "<b/>"}});
  sealed.seal();
  SegmentBuilder open(filesystem, scratch.path() / "xml", test_header(2));
  open.group({{"<c>\xff</c>"}});
  SegmentBuilder prepared(filesystem, scratch.path() / "xml", test_header(3));

  std::ostringstream listing;
  CHECK(spool_ls(scratch.path(), listing) == 0);
  CHECK(listing.str().find("0000000000000001-1122334455667701  sealed") != std::string::npos);
  CHECK(listing.str().find("open ") != std::string::npos);
  CHECK(listing.str().find("prepared ") != std::string::npos);
  CHECK(listing.str().find("2023-11-14T22:15:00.000Z") != std::string::npos);

  std::ostringstream all;
  CHECK(spool_cat(scratch.path(), "", all) == 0);
  CHECK(all.str() == "<a/>\n<b/>\n<c>\xff</c>\n");
  std::ostringstream one;
  CHECK(spool_cat(scratch.path(), to_string(test_header(2).id), one) == 0);
  CHECK(one.str() == "<c>\xff</c>\n");
  CHECK(spool_cat(scratch.path(), "0000000000000009-0000000000000000", one) == 1);

  std::ostringstream report;
  CHECK(spool_verify(scratch.path(), report) == 0);
  CHECK(report.str().find("sealed records=1 events=2 malformed=0 bytes=10 ok") !=
        std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "verify_fails_on_damage_and_not_on_a_tail_being_written") {
  SegmentBuilder open(filesystem, scratch.path() / "xml", test_header(2));
  open.group({{"<a/>"}});
  const std::uint64_t first_end = open.summary().end;
  open.group({{"<b/>"}});
  REQUIRE(write_all(open.file(), as_bytes("half a rec"), open.summary().end).ok());
  std::ostringstream report;
  CHECK(spool_verify(scratch.path(), report) == 0);
  CHECK(report.str().find("unfinished_bytes=10 ok") != std::string::npos);

  flip_byte(test_header(2), first_end - 2);
  std::ostringstream damaged;
  CHECK(spool_verify(scratch.path(), damaged) == 1);
  CHECK(damaged.str().find("DAMAGED") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "p11_cat_prints_the_events_of_a_segments_file_wherever_it_lies") {
  const auto cat = [&](const Path& file, int expected = 0) {
    std::ostringstream out;
    CHECK(spool_cat(scratch.path() / "nowhere", file.string(), out) == expected);
    return out.str();
  };
  SegmentBuilder segment(filesystem, scratch.path() / "xml", test_header(1));
  segment.group({{"<a/>", "<b/>"}});
  const SegmentSummary before = segment.summary();
  segment.group({{"<c/>"}});
  segment.seal();
  const Path in_place = segment_path(scratch.path() / "xml", test_header(1).id);
  CHECK(cat(in_place) == "<a/>\n<b/>\n<c/>\n");
  const Path object = scratch.path() / "20231114_221320_gate_segment";
  std::filesystem::copy_file(in_place, object);
  CHECK(cat(object) == "<a/>\n<b/>\n<c/>\n");
  // What lies beside it counts.
  std::ofstream(seal_path(scratch.path() / "xml", test_header(1).id)) << "rubbish";
  CHECK(cat(in_place, 1).empty());

  std::filesystem::resize_file(object, before.end + 20);  // as a crash leaves it
  CHECK(cat(object) == "<a/>\n<b/>\n");
  std::ofstream(object) << "no segment at all";
  CHECK(cat(object, 1).empty());
  CHECK(cat(scratch.path() / "not-there", 1).empty());
}

TEST_CASE_FIXTURE(Fixture, "a_spool_that_is_not_there_is_an_error") {
  std::ostringstream out;
  CHECK(spool_ls(scratch.path() / "nowhere", out) == 1);
}
