#include "stages/convert.h"

#include <doctest/doctest.h>

#include <bit>
#include <nlohmann/json.hpp>

#include "common/spool/segment_image.h"
#include "common/xml/object_frame.h"
#include "compress/decompress.h"
#include "egress_block.h"
#include "stages/upload_segment.h"
#include "stages/validate.h"

using namespace sluice;         // NOLINT
using namespace std::literals;  // NOLINT

namespace {

struct Bench {
  MemoryBudget budget{4 * kGiB};
  Books books;
  Validator validator{books};
  Converter converter{books};

  ConvertedBlock convert(test::EgressBlock& block, std::size_t* tape_bytes = nullptr,
                         std::size_t* root_bytes = nullptr) {
    VectorOutbox<ValidatedBlock> validated;
    REQUIRE(validator.process(block.block(budget), validated).ok());
    if (tape_bytes != nullptr) {
      const EventTape& tape = validated.items[0].tape;
      *tape_bytes = tape.memory_bytes();
      for (std::size_t event = 0; event < tape.size(); ++event) {
        *root_bytes += tape.event(event).root.length;
      }
    }
    VectorOutbox<ConvertedBlock> converted;
    REQUIRE(converter.process(std::move(validated.items[0]), converted).ok());
    REQUIRE(converted.items.size() == 1);
    return std::move(converted.items[0]);
  }
};

std::string repeated(std::string_view text, std::size_t bytes) {
  std::string all;
  while (all.size() < bytes) {
    all += text;
  }
  return all;
}

SegmentSettings settings_of(OutputFormat format, Compression compression = Compression::none,
                            bool pretty = false) {
  SegmentSettings settings;
  settings.format = format;
  settings.compression = compression;
  settings.pretty = pretty;
  return settings;
}

}  // namespace

TEST_CASE("p11_of_a_raw_segment_nobody_reads_more_than_its_bytes") {
  Bench bench;
  test::EgressBlock block(settings_of(OutputFormat::json, Compression::gzip));
  block.add("<EVENT>1</EVENT><EVENT><b></c></EVENT>");
  Block of_image = block.block(bench.budget);
  SealedSegment& segment = block.segment();
  segment.raw = true;
  segment.seal.summary.end = of_image.end;
  segment.seal.kept = {{kRecordsBegin, of_image.end}};
  of_image.begin = 0;
  of_image.end = image_bytes(segment.seal);
  const std::size_t bytes = of_image.end;
  of_image.room = bench.budget.charge_anyway(bytes);  // what Rotate charges
  std::string wanted(bytes, '?');
  REQUIRE(read_image(*segment.file, segment.header, segment.seal, 0,
                     std::as_writable_bytes(std::span(wanted))));
  VectorOutbox<ValidatedBlock> validated;
  REQUIRE(bench.validator.process(std::move(of_image), validated).ok());
  VectorOutbox<ConvertedBlock> converted;
  REQUIRE(bench.converter.process(std::move(validated.items[0]), converted).ok());
  const ConvertedBlock& made = converted.items[0];
  CHECK(as_text(made.body.bytes()) == wanted);
  CHECK(made.last);
  CHECK(made.events == 0);
  CHECK(made.rejected.empty());
  CHECK(bench.books.events_validated == 0);
  CHECK(bench.books.bytes_over_room == 0);
  CHECK(bench.budget.bytes_used() == bytes);
}

TEST_CASE("each_format_and_compression") {
  for (const Compression compression : {Compression::none, Compression::gzip, Compression::zstd}) {
    for (const auto& [format, pretty, expected] :
         {std::tuple(OutputFormat::xml, false,
                     "<EVENT><a> 1</a></EVENT>\n<EVENT/>\n<ACK>\xC3\xA9</ACK>"s),
          std::tuple(OutputFormat::json, false, "{\"a\":\"1\"},\n{},\n{\"ACK\":\"\xC3\xA9\"}"s),
          std::tuple(OutputFormat::jsonl, true, "{\"a\":\"1\"}\n{}\n{\"ACK\":\"\xC3\xA9\"}\n"s)}) {
      Bench bench;
      test::EgressBlock block(settings_of(format, compression, pretty));
      block.add(
          "<?xml version='1.0'?><EVENT><a> 1</a></EVENT> <EVENT/>"
          "<EVENT></a></EVENT><?xml version='1.0' encoding='latin1'?><ACK>\xE9</ACK>");
      const ConvertedBlock made = bench.convert(block);
      CHECK(test::decompress(made.body.text(), compression) == expected);
      CHECK(made.uncompressed_bytes == expected.size());
      CHECK(made.events == 3);
      CHECK(made.pieces == 4);
      REQUIRE(made.rejected.size() == 1);
      CHECK(made.rejected[0].bytes == "<EVENT></a></EVENT>");
      CHECK(bench.books.bytes_converted == expected.size());
    }
  }
}

TEST_CASE("pretty_json_is_an_indented_array") {
  Bench bench;
  const SegmentSettings settings = settings_of(OutputFormat::json, Compression::none, true);
  test::EgressBlock block(settings);
  block.add("<EVENT><a>1</a></EVENT><EVENT><a>2</a></EVENT>");
  const ConvertedBlock made = bench.convert(block);
  const ObjectFrame frame = object_frame(settings);
  const std::string object = frame.prefix + std::string(made.body.text()) + frame.suffix;
  CHECK(object == nlohmann::ordered_json::parse(object).dump(2) + "\n");
}

TEST_CASE("an_object_of_many_blocks_is_one_document") {
  for (const Compression compression : {Compression::none, Compression::gzip, Compression::zstd}) {
    for (const OutputFormat format : {OutputFormat::xml, OutputFormat::json, OutputFormat::jsonl}) {
      const SegmentSettings settings = settings_of(format, compression);
      const ObjectFrame frame = object_frame(settings);
      Bench bench;
      std::string object = frame.prefix;
      std::uint64_t bytes = frame.prefix_bytes + frame.suffix_bytes;
      for (int i = 0; i < 3; ++i) {
        test::EgressBlock block(settings);
        block.add(repeated("<EVENT><a>" + std::to_string(i) + "</a></EVENT>\n", 200000));
        const ConvertedBlock made = bench.convert(block);
        object += i == 0 ? "" : frame.separator;
        bytes += (i == 0 ? 0 : frame.separator_bytes) + made.uncompressed_bytes;
        object += made.body.text();
      }
      const std::string plain = test::decompress(object + frame.suffix, compression);
      CHECK(plain.size() == bytes);
      if (format == OutputFormat::json) {
        CHECK(nlohmann::json::parse(plain).size() > 10000);
      } else if (format == OutputFormat::jsonl) {
        CHECK(plain.starts_with("{\"a\":\"0\"}\n{"));
        CHECK(plain.ends_with("{\"a\":\"2\"}\n"));
      } else {
        CHECK(plain.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<EVENTS>\n<EVENT>"));
        FramerLimits limits;
        limits.event_bytes_max = 100 * kMiB;
        const test::Framed whole = test::frame(plain, limits);
        REQUIRE(whole.cuts.size() == 1);
        CHECK(whole.cuts[0].kind == PieceKind::event);
      }
    }
  }
}

TEST_CASE("a_block_without_events_has_no_body") {
  for (const Compression compression : {Compression::none, Compression::gzip, Compression::zstd}) {
    Bench bench;
    test::EgressBlock block(settings_of(OutputFormat::xml, compression));
    block.add("<EVENT></a></EVENT>");
    const ConvertedBlock made = bench.convert(block);
    CHECK(made.body.empty());
    CHECK(made.events == 0);
    CHECK(made.uncompressed_bytes == 0);
  }
}

TEST_CASE("the_same_block_gives_the_same_bytes_on_any_converter") {
  test::EgressBlock block(settings_of(OutputFormat::json, Compression::gzip));
  block.add(repeated("<EVENT><a>x</a><b y='2'>z</b></EVENT>", 300000));
  Bench one;
  Bench two;
  const ConvertedBlock first = one.convert(block);
  const ConvertedBlock second = two.convert(block);
  CHECK(first.body.text() == second.body.text());
}

namespace {

// Streams that make the most of each byte; a block of about `bytes` each.
std::vector<std::string> costly_streams(std::size_t bytes) {
  constexpr std::size_t kEventBytes = 500000;
  const std::string declared = "<?xml version='1.0' encoding='windows-1252'?>";
  std::string names = "<a>";
  for (int i = 0; names.size() < kEventBytes; ++i) {
    names += "<n" + std::to_string(i) + "/>";
  }
  std::string attributes;
  for (int i = 0; i < 200; ++i) {
    attributes += std::string(" ") + static_cast<char>('a' + i % 26) +
                  static_cast<char>('a' + i / 26) + "=''";
  }
  const std::size_t bytes_of_tiny = bytes / 3;  // pieces, beside 12 bytes of table for each
  std::vector<std::string> streams = {
      repeated("<a/>", bytes_of_tiny),
      repeated(names + "</a>", bytes),
      repeated("<a><b><c><d><e><f><g><h><i><j><k/></j></i></h></g></f></e></d></c></b></a>", bytes),
      // rejected: by the parser, by the framer, between events
      repeated("<a b/>", bytes_of_tiny),
      repeated("<:/>", bytes_of_tiny),
      repeated("<\x80/>", bytes_of_tiny),
      repeated("<a:b/>", bytes_of_tiny),
      repeated("<a>&b</a>", bytes_of_tiny),
      repeated("<?xml x", bytes_of_tiny),
      "<a/>" + repeated("x<a/>", bytes_of_tiny),
      repeated("<a>" + std::string(20, 'x') + "]]></a>", bytes),
      repeated("<a/><:/>", bytes_of_tiny),
  };
  for (const std::string& content : {
           "<b/>"s,
           "<b/>x"s,
           "<b>x</b>"s,
           "\""s,
           "&#9;"s,
           "<b>&#9;</b>"s,
           "<b c='&#9;'/>"s,
           "<b xmlns=''/>"s,
           "x<!---->"s,
           "<b>x<!---->x</b>"s,
           "<![CDATA[\"]]>"s,
           "<b>\xC3\xA9</b>"s,
           "<b>\xC3\xA9<![CDATA[\xC3\xA9]]></b>"s,
           "<b" + attributes + "/>",
           "<b><c><d><e><f><g><h><i><j/><k/><l/><m/><n/><o/><p/><q/><r/></i></h></g></f></e></d>"
           "</c></b>"s,
       }) {
    streams.push_back(repeated("<a>" + repeated(content, kEventBytes) + "</a>", bytes));
  }
  for (const std::string& content :
       {"\x80"s, "<b/>\x80"s, "<b>\x80</b>"s, "<b c='\x80'/>"s,
        "<b c='" + std::string(60000, '\x80') + "'/>",
        "<b c='" + std::string(4370, '\x80') + "'/>"}) {  // four to an arena chunk, and a rest
    streams.push_back(repeated(declared + "<a>" + repeated(content, kEventBytes) + "</a>", bytes));
  }
  streams.push_back(repeated(declared + "<\x80/>", bytes));
  return streams;
}

// What the rejected pieces of a block take, with what Upload makes of them.
std::size_t rejected_bytes(std::vector<RejectedPiece>& rejected) {
  std::size_t bytes = rejected.capacity() * sizeof(RejectedPiece);
  std::size_t offset = 0;
  std::size_t count = 0;
  std::size_t line = 0;
  for (RejectedPiece& piece : rejected) {
    // As the allocator rounds it; short ones lie in the object itself.
    const auto heap = [](const std::string& text) {
      return text.capacity() < 16 ? 0 : text.capacity() + 24;
    };
    piece.peer.ip.fill(0xFF);
    piece.peer.port = 65535;
    if (count++ % 256 == 0) {  // they are alike
      line = reason_line(piece, offset).size();
      CHECK_THAT(line <= kReasonLineBytesMax);
    }
    bytes += heap(piece.bytes) + heap(piece.reason) + line;
    offset += piece.bytes.size();
  }
  constexpr std::size_t kInVectors =
      sizeof(Reject) + sizeof(std::span<const std::byte>) + sizeof(std::shared_ptr<const void>);
  return bytes + std::bit_ceil(rejected.size()) * kInVectors;
}

}  // namespace

// Invariant 8: the formula of block_cost.h against blocks that are as costly as can be.
TEST_CASE("x12_no_block_costs_more_than_its_room") {
  for (const std::string& stream : costly_streams(4 * kMiB)) {
    CAPTURE(stream.substr(0, 60));
    for (const auto& [format, pretty] :
         {std::pair(OutputFormat::xml, false), std::pair(OutputFormat::json, false),
          std::pair(OutputFormat::json, true)}) {
      CAPTURE(pretty);
      const SegmentSettings settings = settings_of(format, Compression::none, pretty);
      test::EgressBlock block(settings);
      block.add(stream);
      const std::uint64_t file_bytes = block.file_bytes();
      Bench bench;
      std::size_t tape_bytes = 0;
      std::size_t root_bytes = 0;
      ConvertedBlock made = bench.convert(block, &tape_bytes, &root_bytes);
      const std::size_t of_rejected = rejected_bytes(made.rejected);
      CHECK(bench.books.bytes_over_room == 0);
      CHECK(made.body.size() <= output_bytes_max(settings, root_bytes));
      CHECK(tape_bytes + made.body.size() <= kAcceptedCost * file_bytes + kBlockCostFixedBytes);
      CHECK(of_rejected <= kRejectedCost * file_bytes + kRejectedPieceCost * made.rejected.size());
      CHECK(file_bytes + tape_bytes + of_rejected + made.body.size() <= block.room_bytes());
      if (made.events == 0) {
        break;  // no format makes a difference
      }
    }
  }
}

TEST_CASE("what_a_block_takes_beyond_its_room_is_counted") {
  test::EgressBlock block(settings_of(OutputFormat::json));
  block.add("<EVENT><a>1</a></EVENT><EVENT></a></EVENT>");
  Bench bench;
  Block small = block.block(bench.budget);
  small.room.shrink_to(0);
  VectorOutbox<ValidatedBlock> validated;
  REQUIRE(bench.validator.process(std::move(small), validated).ok());
  const std::uint64_t in_validate = bench.books.bytes_over_room;
  CHECK(in_validate > block.file_bytes());
  VectorOutbox<ConvertedBlock> converted;
  REQUIRE(bench.converter.process(std::move(validated.items[0]), converted).ok());
  CHECK(bench.books.bytes_over_room ==
        in_validate + converted.items[0].body.size() + memory_of(converted.items[0].rejected));
}
