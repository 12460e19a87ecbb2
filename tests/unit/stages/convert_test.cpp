#include "stages/convert.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "common/xml/object_frame.h"
#include "compress/decompress.h"
#include "egress_block.h"
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

// Invariant 8: the formula of block_cost.h against blocks that are as costly as can be.
TEST_CASE("x12_no_block_costs_more_than_its_room") {
  constexpr std::size_t kEventBytes = 500000;
  const std::string_view declared = "<?xml version='1.0' encoding='windows-1252'?>";
  std::string names = "<a>";
  for (int i = 0; names.size() < kEventBytes; ++i) {
    names += "<n" + std::to_string(i) + "/>";
  }
  std::string attributes;
  for (int i = 0; i < 200; ++i) {
    attributes += std::string(" ") + static_cast<char>('a' + i % 26) +
                  static_cast<char>('a' + i / 26) + "=''";
  }
  const std::vector<std::string> streams = {
      repeated("<a/>", kEventBytes),
      "<a>" + repeated("<b/>", kEventBytes) + "</a>",
      "<a>" + repeated("<b/>x", kEventBytes) + "</a>",
      "<a>" + repeated("<b>x</b>", kEventBytes) + "</a>",
      "<a>" + repeated("\"", kEventBytes) + "</a>",
      "<a>" + repeated("&#9;", kEventBytes) + "</a>",
      "<a>" + repeated("<b" + attributes + "/>", kEventBytes) + "</a>",
      names + "</a>",
      repeated("<a><b><c><d><e><f><g><h><i><j><k/></j></i></h></g></f></e></d></c></b></a>",
               kEventBytes),
      "<a>" +
          repeated("<b><c><d><e><f><g><h><i><j/><k/><l/><m/><n/><o/><p/><q/><r/></i></h></g></f>"
                   "</e></d></c></b>",
                   kEventBytes) +
          "</a>",
      std::string(declared) + "<a>" + repeated("\x80", kEventBytes) + "</a>",
      std::string(declared) + "<a>" + repeated("<b/>\x80", kEventBytes) + "</a>",
      std::string(declared) + "<a>" +
          repeated("<b c='" + std::string(60000, '\x80') + "'/>", kEventBytes) + "</a>",
      repeated("<a b/>", kEventBytes),
      repeated("<?xml x", kEventBytes),
      "<a/>" + repeated("x<a/>", kEventBytes),
      repeated("<a>" + std::string(20, 'x') + "]]></a>", kEventBytes),
  };
  for (const OutputFormat format : {OutputFormat::xml, OutputFormat::json}) {
    for (const bool pretty : {false, true}) {
      for (const std::string& stream : streams) {
        CAPTURE(stream.substr(0, 60));
        CAPTURE(pretty);
        SegmentSettings settings = settings_of(format, Compression::none, pretty);
        settings.event_bytes_max = 2 * kMiB;
        test::EgressBlock block(settings);
        block.add(stream);
        Bench bench;
        const Block whole = block.block(bench.budget);
        const std::uint64_t file_bytes = whole.end - whole.begin;
        std::size_t tape_bytes = 0;
        std::size_t root_bytes = 0;
        const ConvertedBlock made = bench.convert(block, &tape_bytes, &root_bytes);
        std::size_t rejected_bytes = made.rejected.capacity() * sizeof(RejectedPiece);
        for (const RejectedPiece& piece : made.rejected) {
          // As the allocator rounds it; short ones lie in the object itself.
          const auto heap = [](const std::string& text) {
            return text.capacity() < 16 ? 0 : text.capacity() + 24;
          };
          rejected_bytes += heap(piece.bytes) + heap(piece.reason);
        }
        CHECK(made.body.size() <= output_bytes_max(settings, root_bytes));
        CHECK(tape_bytes + made.body.size() <= kAcceptedCost * file_bytes + kBlockCostFixedBytes);
        CHECK(rejected_bytes <= kRejectedCost * file_bytes);
        CHECK(file_bytes + tape_bytes + rejected_bytes + made.body.size() <=
              block_cost_bytes(settings, file_bytes));
      }
    }
  }
}
