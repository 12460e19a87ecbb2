#include "common/spool/spool_directory.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/crc32c.h"
#include "common/platform/posix_filesystem.h"
#include "common/spool/ledger.h"
#include "common/spool/segment_files.h"
#include "common/spool/spool_format_file.h"
#include "fakes/fault_filesystem.h"
#include "scratch_directory.h"
#include "segment_builder.h"
#include "test_clock.h"

using namespace sluice;

namespace {

using Opened = std::variant<std::unique_ptr<SpoolDirectory>, SpoolRefusal>;

struct Fixture {
  SpoolDirectory::Options options() const {
    SpoolDirectory::Options made;
    made.path = scratch.path() / "spool";
    made.destination = "file:///objects";
    made.owner = static_cast<std::uint32_t>(::geteuid());
    made.pid = 4711;
    return made;
  }
  Opened open() { return SpoolDirectory::open(filesystem, clock, options()); }
  static SpoolRefusal::Kind refused(const Opened& opened) {
    REQUIRE(std::holds_alternative<SpoolRefusal>(opened));
    return std::get<SpoolRefusal>(opened).kind;
  }
  static SpoolDirectory& spool(const Opened& opened) {
    REQUIRE(std::holds_alternative<std::unique_ptr<SpoolDirectory>>(opened));
    return *std::get<0>(opened);
  }
  SegmentHeader segment_for(const std::string& destination, std::uint64_t num = 7) {
    SegmentSettings settings;
    settings.destination = destination;
    settings.instance = "keeper";
    SegmentHeader header = test_header(num);
    header.settings = to_json(settings);
    return header;
  }

  ScratchDirectory scratch;
  PosixFilesystem filesystem;
  ManualClock clock;
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "p7_a_second_instance_is_refused_and_touches_nothing") {
  const Opened first = open();
  const std::string secret_before = encode_spool_format(spool(first).format());
  const Opened second = open();
  CHECK(refused(second) == SpoolRefusal::Kind::locked);
  CHECK(std::get<SpoolRefusal>(second).exit_code() == 3);
  CHECK(std::get<SpoolRefusal>(second).error.message.find("4711") != std::string::npos);
  CHECK(read_file(filesystem, options().path / "FORMAT", 1000).value() == secret_before);
}

TEST_CASE_FIXTURE(Fixture, "uuid_secret_and_instance_are_made_once") {
  SpoolFormat format;
  {
    const Opened first = open();
    format = spool(first).format();
    CHECK(spool(first).empty_at_start());
    CHECK(format.instance.size() == 8);
  }
  const Opened second = open();
  CHECK(spool(second).format().uuid == format.uuid);
  CHECK(spool(second).format().secret == format.secret);
  CHECK(spool(second).format().instance == format.instance);
  struct stat st {};
  REQUIRE(::stat((options().path / "FORMAT").c_str(), &st) == 0);
  CHECK((st.st_mode & 0777) == 0600);
}

TEST_CASE_FIXTURE(Fixture, "d14_format_is_read_from_its_copy_or_rebuilt_from_the_segments") {
  SpoolFormat format;
  {
    const Opened first = open();
    format = spool(first).format();
    REQUIRE(spool(first).stream(Stream::xml, SegmentSettings{}));
  }
  REQUIRE(replace_file(filesystem, options().path / "FORMAT", "").ok());
  {
    const Opened second = open();
    CHECK(spool(second).format().uuid == format.uuid);
  }
  CHECK(decode_spool_format(read_file(filesystem, options().path / "FORMAT", 1000).value()).ok());
  REQUIRE(replace_file(filesystem, options().path / "FORMAT", "x").ok());
  REQUIRE(filesystem.unlink(options().path / "FORMAT.bak").ok());
  SegmentBuilder builder(filesystem, options().path / "xml", segment_for("file:///objects"));
  builder.group({{"<a/>"}});
  const Opened third = open();
  CHECK(spool(third).format().uuid == test_header().uuid);
  CHECK(spool(third).format().secret == test_header().secret);
  CHECK(spool(third).format().instance == "keeper");
  CHECK_FALSE(spool(third).empty_at_start());
  CHECK(spool(third).warnings().size() == 1);
}

TEST_CASE_FIXTURE(Fixture, "p12_a_newer_version_or_another_destination_is_refused") {
  {
    const Opened first = open();
    REQUIRE(spool(first).stream(Stream::xml, SegmentSettings{}));
  }
  const Path format = options().path / "FORMAT";
  const std::string written = read_file(filesystem, format, 1000).value();
  // A newer program writes its own CRC.
  const std::string body = R"({"version":2,"what":"ever"})";
  REQUIRE(
      replace_file(filesystem, format, body + "\n" + std::to_string(crc32c(as_bytes(body))) + "\n")
          .ok());
  CHECK(refused(open()) == SpoolRefusal::Kind::newer_version);
  REQUIRE(replace_file(filesystem, format, written).ok());

  SegmentBuilder prepared(filesystem, options().path / "xml", segment_for("s3://other", 6));
  CHECK(std::holds_alternative<std::unique_ptr<SpoolDirectory>>(open()));  // it holds nothing
  SegmentBuilder builder(filesystem, options().path / "xml", segment_for("s3://other"));
  builder.group({{"<a/>"}});
  const Opened opened = open();
  CHECK(refused(opened) == SpoolRefusal::Kind::other_destination);
  CHECK(std::get<SpoolRefusal>(opened).exit_code() == 2);
}

TEST_CASE_FIXTURE(Fixture, "d11_a_spool_of_another_owner_or_open_to_the_world_is_refused") {
  {
    const Opened first = open();
    CHECK(spool(first).warnings().empty());
  }
  REQUIRE(::chmod(options().path.c_str(), 0750) == 0);
  {
    const Opened group = open();
    CHECK(spool(group).warnings().size() == 1);
  }
  REQUIRE(::chmod(options().path.c_str(), 0701) == 0);
  CHECK(refused(open()) == SpoolRefusal::Kind::unsafe);
  REQUIRE(::chmod(options().path.c_str(), 0700) == 0);
  auto other = options();
  ++other.owner;
  CHECK(refused(SpoolDirectory::open(filesystem, clock, other)) == SpoolRefusal::Kind::unsafe);
}

TEST_CASE_FIXTURE(Fixture, "the_next_number_is_above_all_in_segments_quarantine_and_ledger") {
  const auto next_num = [&] {
    const Opened opened = open();
    auto stream = spool(opened).stream(Stream::xml, SegmentSettings{});
    REQUIRE(stream);
    return (*stream)->first_new_num();
  };
  CHECK(next_num() == 1);
  { SegmentBuilder builder(filesystem, options().path / "xml", segment_for("file:///objects", 9)); }
  CHECK(next_num() == 10);
  REQUIRE(replace_file(filesystem,
                       options().path / "quarantine" /
                           ("seg-" + to_string(SegmentId{20, 1}) + ".torn-0000000000002000"),
                       "x")
              .ok());
  CHECK(next_num() == 21);
  Ledger ledger(filesystem, clock, {.directory = options().path});
  LedgerEntry entry;
  entry.segment = {30, 2};
  ledger.append(entry);
  REQUIRE(ledger.flush().ok());
  CHECK(next_num() == 31);
}

TEST_CASE_FIXTURE(Fixture, "settings_too_long_for_a_segments_header_are_refused_at_once") {
  const Opened opened = open();
  SegmentSettings settings;
  settings.prefix.assign(5000, 'p');
  CHECK(spool(opened).stream(Stream::xml, settings).error().kind == ErrorKind::rejected);
}

TEST_CASE("a_ledger_entry_is_read_as_written_and_generations_roll_and_age_out") {
  FaultFilesystem filesystem;
  ManualClock clock;
  REQUIRE(filesystem.create_directories("/spool").ok());
  LedgerEntry entry;
  entry.key = "xml-events/2026 \"quoted\"";
  entry.object = "data";
  entry.segment = {3, 0xABCDEF};
  entry.bytes = 12;
  entry.events = 3;
  entry.sha256 = "00ff";
  entry.etag = "\"e\"";
  entry.digest = "aa";
  entry.first_sequence = sequence_of(3, 0);
  entry.last_sequence = sequence_of(3, 2);
  entry.first_received_at = WallTime(std::chrono::nanoseconds(123456789));
  entry.metadata = {{"source", "xml-stream-aggregator"}, {"events", "3"}};
  CHECK(ledger_entry_from_json(to_json(entry)).value() == entry);

  Ledger ledger(filesystem, clock,
                {.directory = "/spool", .keep = std::chrono::hours(24), .generation_bytes = 300});
  for (int i = 0; i < 3; ++i) {
    entry.segment.num = static_cast<std::uint64_t>(i) + 1;
    ledger.append(entry);
    ledger.append(entry);
    REQUIRE(ledger.flush().ok());
  }
  CHECK(filesystem.count(FaultFilesystem::Op::sync, "ledger-") == 3);  // one for many lines
  std::vector<std::uint64_t> nums;
  const Status read = read_ledger(filesystem, "/spool", [&](const LedgerEntry& line) {
    nums.push_back(line.segment.num);
    return true;
  });
  CHECK(read.ok());
  // The files of the disk in memory are from 1970: all but the newest were too old.
  CHECK(nums == std::vector<std::uint64_t>{3, 3});
  CHECK(highest_segment_in_ledger(filesystem, "/spool") == 3);
}

TEST_CASE("d1_a_ledger_that_cannot_be_written_keeps_its_lines_bounded") {
  FaultFilesystem filesystem;
  ManualClock clock;
  REQUIRE(filesystem.create_directories("/spool").ok());
  Ledger ledger(filesystem, clock, {.directory = "/spool"});
  LedgerEntry entry;
  entry.segment = {1, 1};
  filesystem.fail({.op = FaultFilesystem::Op::sync, .times = 2, .code = ENOSPC});
  ledger.append(entry);
  CHECK(ledger.flush().error().code == ENOSPC);
  CHECK(ledger.flush().error().code == ENOSPC);
  CHECK(ledger.pending() == 1);
  REQUIRE(ledger.flush().ok());
  CHECK(ledger.pending() == 0);
  for (std::size_t i = 0; i < Ledger::kPendingLinesMax + 5; ++i) {
    ledger.append(entry);
  }
  CHECK(ledger.pending() == Ledger::kPendingLinesMax);
  CHECK(ledger.lost() == 5);
}
