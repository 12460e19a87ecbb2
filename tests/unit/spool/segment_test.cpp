// Writer against reader: what is written is read, and nothing else is.
#include <doctest/doctest.h>

#include <random>

#include "common/spool/segment_origin.h"
#include "common/spool/segment_reader.h"
#include "fakes/fault_filesystem.h"
#include "segment_builder.h"

using namespace sluice;

namespace {

const Path kDirectory = "/spool/xml";

struct Disk {
  Disk() { CHECK_THAT(filesystem.create_directories(kDirectory).ok()); }
  FaultFilesystem filesystem;
};

std::vector<std::string> events_of(const RecordBlock& block) {
  std::vector<std::string> events;
  for (const RecordView& record : block.records) {
    for (const Piece& piece : record.pieces) {
      events.emplace_back(as_text(record.run.subspan(piece.begin, piece.length)));
    }
  }
  return events;
}

RecordBlock read_block(const File& file, const SegmentHeader& header, KeptRange range,
                       Buffer& buffer) {
  buffer = Buffer::allocate(range.end - range.begin, Charge());
  RecordBlock block;
  REQUIRE(read_records(file, header, range, buffer, block).ok());
  return block;
}

// Of the file, from `begin` on.
std::string bytes_of(SegmentBuilder& segment, std::uint64_t begin) {
  std::string bytes(segment.summary().end - begin, '\0');
  REQUIRE(segment.file().pread(std::as_writable_bytes(std::span(bytes)), begin).ok());
  return bytes;
}

// What a segment is found to hold in which a client's text and "<real/>" stand, where the text's
// own record is damaged, so that its run is searched for the next record.
std::vector<std::string> events_beside(Disk& disk, const std::string& text) {
  const SegmentHeader header = test_header(2);
  SegmentBuilder builder(disk.filesystem, kDirectory, header);
  builder.group({{text}, {"<real/>"}});
  disk.filesystem.flip_bit(segment_path(kDirectory, header.id),
                           (kRecordsBegin + kRecordHeaderBytes) * 8);
  Buffer buffer;
  return events_of(
      read_block(builder.file(), header, {kRecordsBegin, builder.summary().end}, buffer));
}

}  // namespace

TEST_CASE("a_header_is_read_from_either_copy_and_of_a_newer_version_not_at_all") {
  Disk disk;
  const SegmentHeader header = test_header();
  SegmentBuilder builder(disk.filesystem, kDirectory, header);
  const Path path = segment_path(kDirectory, header.id);
  for (const std::uint64_t byte : {0U, 8U, 20U, 60U, 100U}) {
    disk.filesystem.flip_bit(path, byte * 8);
    auto read = read_segment_header(builder.file());
    REQUIRE(read);
    CHECK(read->id == header.id);
    CHECK(read->secret == header.secret);
    CHECK(read->settings == header.settings);
    CHECK(read->created_at == header.created_at);
  }
  disk.filesystem.flip_bit(path, (4096UL + 33) * 8);
  CHECK(read_segment_header(builder.file()).error().kind == ErrorKind::rejected);

  auto encoded = encode_segment_header(header).value();
  encoded[8] = std::byte{2};
  CHECK(decode_segment_header(encoded).error().code == 0);  // the CRC covers the version
}

TEST_CASE("settings_that_do_not_fit_a_header_are_refused") {
  SegmentHeader header = test_header();
  header.settings.assign(4096, 'x');
  CHECK(encode_segment_header(header).error().kind == ErrorKind::rejected);
}

TEST_CASE("settings_survive_the_header_and_unknown_keys_are_an_error") {
  SegmentSettings settings;
  settings.format = OutputFormat::jsonl;
  settings.compression = Compression::zstd;
  settings.compression_level = 3;
  settings.pretty = true;
  settings.date_folders = true;
  settings.instance = "a";
  settings.destination = "s3://bucket@endpoint";
  const std::string json = to_json(settings);
  CHECK(segment_settings_from_json(json).value() == settings);
  CHECK(to_json(segment_settings_from_json(json).value()) == json);
  std::string more = json;
  more.insert(1, R"("colour":"red",)");
  CHECK(segment_settings_from_json(more).error().kind == ErrorKind::rejected);
  CHECK_FALSE(segment_settings_from_json("{}").ok());
  CHECK_FALSE(segment_settings_from_json("").ok());
  CHECK_FALSE(segment_settings_from_json(R"({"format":7})").ok());
}

TEST_CASE("what_is_written_is_read_small_runs_and_large_ones") {
  Disk disk;
  const SegmentHeader header = test_header();
  SegmentBuilder builder(disk.filesystem, kDirectory, header);
  const std::string large(40'000, 'L');
  builder.group({{"<a/>", "<b/>"}, {large, "<c/>"}, {"<d/>"}});
  builder.group({{"<e/>"}});
  builder.seal();

  auto seal = read_seal_record(builder.file(), header).value();
  REQUIRE(seal);
  CHECK(seal->summary.digest == builder.summary().digest);
  CHECK(seal->summary.events == 6);
  CHECK(seal->summary.records == 4);
  CHECK(seal->summary.first_received_at == WallTime(std::chrono::seconds(1'700'000'100)));
  CHECK(seal->summary.last_received_at == WallTime(std::chrono::seconds(1'700'000'103)));
  REQUIRE(seal->kept.size() == 1);

  Buffer buffer;
  const RecordBlock block = read_block(builder.file(), header, seal->kept[0], buffer);
  CHECK(events_of(block) ==
        std::vector<std::string>{"<a/>", "<b/>", large, "<c/>", "<d/>", "<e/>"});
  CHECK(block.damage.empty());
  CHECK(block.records[1].header.first_index == 2);
  CHECK(block.records[3].header.first_index == 5);
  CHECK(block.records[0].header.peer.port == 4711);
  CHECK(block.records[0].header.connection_id == 5);
}

TEST_CASE("a_record_has_the_name_of_its_clients_certificate_behind_its_run") {
  Disk disk;
  const SegmentHeader header = test_header();
  SegmentBuilder builder(disk.filesystem, kDirectory, header);
  builder.group({{"first"}});
  builder.client_name = "gate-7.example.org";
  builder.group({{"second"}, {std::string(20'000, 'x')}});  // copied, and from where it lies
  builder.client_name = std::string(255, 'n');
  builder.group({{"last"}});
  builder.seal();
  Buffer buffer;
  const RecordBlock block =
      read_block(builder.file(), header, {kRecordsBegin, builder.summary().end}, buffer);
  CHECK(block.damage.empty());
  std::vector<std::pair<std::string, std::size_t>> read;
  for (const RecordView& record : block.records) {
    read.emplace_back(record.client_name, record.run.size());
  }
  REQUIRE(read.size() == 4);
  CHECK(read[0] == std::pair(std::string(), std::size_t{6}));
  CHECK(read[1] == std::pair(std::string("gate-7.example.org"), std::size_t{7}));
  CHECK(read[2] == std::pair(std::string("gate-7.example.org"), std::size_t{20'001}));
  CHECK(read[3].first == std::string(255, 'n'));
}

TEST_CASE("blocks_are_whole_records_cover_everything_and_are_the_same_each_time") {
  Disk disk;
  const SegmentHeader header = test_header();
  SegmentBuilder builder(disk.filesystem, kDirectory, header);
  std::vector<std::string> sent;
  std::mt19937_64 random(11);
  for (int group = 0; group < 40; ++group) {
    std::vector<std::vector<std::string>> batches;
    for (std::uint64_t i = 0; i < random() % 5 + 1; ++i) {
      sent.push_back("<e" + std::string(random() % 30'000, 'x') + "/>");
      batches.push_back({sent.back()});
    }
    builder.group(batches);
  }
  const std::vector<KeptRange> kept = {{kRecordsBegin, builder.summary().end}};
  std::vector<std::pair<std::uint64_t, std::uint64_t>> first_walk;
  for (int round = 0; round < 2; ++round) {
    std::vector<std::pair<std::uint64_t, std::uint64_t>> walk;
    std::vector<std::string> read;
    BlockWalker walker(builder.file(), header, kept, 64 * kKiB);
    bool last = false;
    std::uint64_t at = kRecordsBegin;
    while (auto range = walker.next().value()) {
      CHECK_FALSE(last);
      CHECK(range->begin == at);
      CHECK(range->end - range->begin <= 64 * kKiB);
      at = range->end;
      last = range->last;
      walk.emplace_back(range->begin, range->end);
      Buffer buffer;
      for (auto& event :
           events_of(read_block(builder.file(), header, {range->begin, range->end}, buffer))) {
        read.push_back(std::move(event));
      }
    }
    CHECK(last);
    CHECK(at == builder.summary().end);
    CHECK(read == sent);
    CHECK(walk.size() > 5);
    if (round == 0) {
      first_walk = walk;
    } else {
      CHECK(walk == first_walk);
    }
  }
}

TEST_CASE("a_record_larger_than_a_block_is_a_block_of_its_own") {
  Disk disk;
  const SegmentHeader header = test_header();
  SegmentBuilder builder(disk.filesystem, kDirectory, header);
  builder.group({{"<a/>"}, {std::string(100'000, 'y')}, {"<b/>"}});
  BlockWalker walker(builder.file(), header, {{kRecordsBegin, builder.summary().end}}, 4096);
  int blocks = 0;
  while (auto range = walker.next().value()) {
    ++blocks;
  }
  CHECK(blocks == 3);
}

TEST_CASE("d7_one_bit_flipped_anywhere_loses_at_most_one_record") {
  Disk disk;
  const SegmentHeader header = test_header();
  SegmentBuilder builder(disk.filesystem, kDirectory, header);
  for (int i = 0; i < 4; ++i) {
    builder.group({{"<first n=\"" + std::to_string(i) + "\"/>"}, {"<second/>", "<third/>"}});
  }
  const Path path = segment_path(kDirectory, header.id);
  const KeptRange whole{kRecordsBegin, builder.summary().end};
  for (std::uint64_t bit = 0; bit < whole.end * 8; ++bit) {
    if (bit < kRecordsBegin * 8 && bit % 37 != 0) {
      continue;  // the header's padding is long
    }
    disk.filesystem.flip_bit(path, bit);
    CHECK_MESSAGE(read_segment_header(builder.file()).ok(), "bit ", bit);
    Buffer buffer;
    const RecordBlock block = read_block(builder.file(), header, whole, buffer);
    const std::size_t lost = 8 - block.records.size();
    if (lost > 1 || (lost == 1) != (!block.damage.empty() && block.damage[0].pieces > 0)) {
      // The pieces of a lost last record are told by the seal alone.
      const bool last_header = bit / 8 >= whole.end - 200;
      CHECK_MESSAGE((lost <= 1 && last_header), "bit ", bit, " lost ", lost);
    }
    if (lost == 1 && block.damage[0].first_index) {
      CHECK(*block.damage[0].first_index % 3 <= 1);
    }
    disk.filesystem.flip_bit(path, bit);
  }
}

TEST_CASE("a_page_that_the_disk_refuses_costs_only_the_records_in_it") {
  Disk disk;
  const SegmentHeader header = test_header();
  SegmentBuilder builder(disk.filesystem, kDirectory, header);
  for (int i = 0; i < 100; ++i) {
    builder.group({{"<e>" + std::string(200, 'x') + "</e>"}});
  }
  const KeptRange whole{kRecordsBegin, builder.summary().end};
  Buffer buffer = Buffer::allocate(whole.end - whole.begin, Charge());
  RecordBlock block;
  disk.filesystem.fail(
      {.op = FaultFilesystem::Op::read, .times = 1, .code = EIO});  // once: repeated
  REQUIRE(read_records(builder.file(), header, whole, buffer, block).ok());
  CHECK(block.records.size() == 100);
  disk.filesystem.clear_faults();
  disk.filesystem.fail({.op = FaultFilesystem::Op::read, .times = 3, .code = EIO});
  REQUIRE(read_records(builder.file(), header, whole, buffer, block).ok());
  CHECK(block.records.size() < 100);
  CHECK(block.records.size() > 80);
  CHECK(block.damaged_bytes >= 4096);
}

TEST_CASE("bytes_that_a_client_sends_never_pass_for_a_record") {
  // A client that has read another segment (another uid, another offset) sends it as its text.
  Disk disk;
  const SegmentHeader other = test_header(1);
  SegmentBuilder stolen(disk.filesystem, kDirectory, other);
  stolen.group({{"<forged/>"}});
  CHECK(events_beside(disk, bytes_of(stolen, 0)) == std::vector<std::string>{"<real/>"});
}

TEST_CASE(
    "bytes_that_a_client_sends_never_pass_for_a_record_where_their_offsets_are_right_either") {
  // It knows the format, and where in the file its text will lie: behind the COMMIT, and the header
  // and table of its own record. It does not know the spool's secret, nor the segment's id.
  constexpr std::uint64_t kTextBegin = kRecordsBegin + 2 * kRecordHeaderBytes + kPieceBytes;
  Disk disk;
  SegmentHeader guessed = test_header(1);
  guessed.secret = {};
  SegmentBuilder forger(disk.filesystem, kDirectory, guessed);
  forger.group({{std::string(200, 'x')}});
  forger.group({{"<forged/>"}});
  CHECK(events_beside(disk, bytes_of(forger, kTextBegin)) == std::vector<std::string>{"<real/>"});
}

TEST_CASE("an_origin_beside_the_settings_changes_none_of_them") {
  SegmentSettings settings;
  settings.prefix = "other/";
  const std::string text = to_json(settings);
  CHECK_FALSE(segment_origin_of(text).has_value());
  const std::string with = with_origin(text, {"some.xml", "aa"});
  CHECK(segment_settings_from_json(with).value() == settings);
  CHECK(segment_origin_of(with) == SegmentOrigin{"some.xml", "aa"});
  CHECK_FALSE(segment_settings_from_json(R"({"origin":{}})").ok());
  CHECK_FALSE(segment_origin_of(R"({"origin":3})").has_value());
  CHECK(printable_file_name("a b\xc3\xa4\r\n") == "a%20b%C3%A4%0D%0A");
  CHECK(printable_file_name(std::string(5000, 'x') + "_raw.xml").ends_with("x_raw.xml"));
  CHECK(printable_file_name(std::string(5000, '\n')).size() <= 200);
}

TEST_CASE("a_seal_record_counts_only_at_the_end_of_its_own_file") {
  Disk disk;
  const SegmentHeader header = test_header();
  SegmentBuilder builder(disk.filesystem, kDirectory, header);
  builder.group({{"<a/>"}});
  CHECK_FALSE(read_seal_record(builder.file(), header).value().has_value());
  builder.seal();
  CHECK(read_seal_record(builder.file(), header).value().has_value());
  SegmentHeader foreign = header;
  foreign.id.uid += 1;
  CHECK_FALSE(read_seal_record(builder.file(), foreign).value().has_value());
  const std::array<std::byte, 1> one{std::byte{1}};
  REQUIRE(write_all(builder.file(), one, builder.summary().end + kSealRecordBytes).ok());
  CHECK_FALSE(read_seal_record(builder.file(), header).value().has_value());
}
