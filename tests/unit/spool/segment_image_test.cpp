#include "common/spool/segment_image.h"

#include <doctest/doctest.h>

#include <cerrno>

#include "common/spool/segment_reader.h"
#include "fakes/fault_filesystem.h"
#include "segment_builder.h"

using namespace sluice;

namespace {

struct Fixture {
  Fixture() { REQUIRE(filesystem.create_directories("/spool").ok()); }
  std::string file_bytes() const {
    return read_file(filesystem, segment_path("/spool", header.id), kMiB).value();
  }
  // Read in parts that are cut anywhere.
  std::string image(const File& file, const SegmentSeal& seal, std::size_t part_bytes) const {
    std::string bytes(image_bytes(seal), '?');
    for (std::size_t at = 0; at < bytes.size(); at += part_bytes) {
      const auto part = std::as_writable_bytes(std::span(bytes)).subspan(at);
      REQUIRE(read_image(file, header, seal, at, part.first(std::min(part_bytes, part.size()))));
    }
    return bytes;
  }

  mutable FaultFilesystem filesystem;
  SegmentHeader header = test_header(1);
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "the_image_of_a_sealed_segment_is_its_file") {
  SegmentBuilder segment(filesystem, "/spool", header);
  segment.group({{"<a/>", "<b/>"}});
  segment.seal();
  const auto seal = read_seal_record(segment.file(), header);
  REQUIRE((seal && *seal));
  for (const std::size_t part_bytes : {1, 1000, 8192, 100'000}) {
    CHECK(image(segment.file(), **seal, part_bytes) == file_bytes());
  }
}

TEST_CASE_FIXTURE(Fixture, "p11_the_image_of_an_abandoned_segment_is_sealed_where_it_was_cut") {
  SegmentBuilder segment(filesystem, "/spool", header);
  segment.group({{"<a/>"}});
  SegmentSeal seal;
  seal.summary = segment.summary();
  seal.kept = {{kRecordsBegin, seal.summary.end}};
  segment.group({{"<b/>"}});  // stands in the next segment, too
  const std::string bytes = image(segment.file(), seal, 1000);
  CHECK(bytes.starts_with(file_bytes().substr(0, seal.summary.end)));
  REQUIRE(replace_file(filesystem, "/image", bytes).ok());
  const auto file = filesystem.open("/image", OpenMode::read);
  REQUIRE(file);
  const auto read = read_seal_record(**file, header);
  REQUIRE((read && *read));
  CHECK((*read)->summary.events == 1);
  CHECK((*read)->summary.digest == seal.summary.digest);
  CHECK((*read)->kept.back().end == seal.summary.end);
}

TEST_CASE_FIXTURE(Fixture, "the_image_of_what_nobody_read_is_all_of_its_file") {
  SegmentBuilder segment(filesystem, "/spool", header);
  segment.group({{"<a/>"}});
  SegmentSeal seal;
  seal.summary.end = segment.file().info()->bytes;
  CHECK(image(segment.file(), seal, 1000) == file_bytes());
}

TEST_CASE_FIXTURE(Fixture, "what_the_disk_refuses_or_has_lost_comes_as_zeros") {
  SegmentBuilder segment(filesystem, "/spool", header);
  segment.group({{std::string(100, 'x')}});
  SegmentSeal seal;
  seal.summary.end = segment.file().info()->bytes;
  const std::string whole = file_bytes();
  REQUIRE(segment.file().truncate(seal.summary.end - 50).ok());
  const std::string bytes = image(segment.file(), seal, 100'000);
  CHECK(bytes == whole.substr(0, whole.size() - 50) + std::string(50, '\0'));
  filesystem.fail({.op = FaultFilesystem::Op::read, .times = 3, .code = EIO});
  CHECK(image(segment.file(), seal, 100'000).substr(0, 10) == std::string(10, '\0'));
}
