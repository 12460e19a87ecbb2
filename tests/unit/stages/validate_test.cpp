#include "stages/validate.h"

#include <doctest/doctest.h>

#include "egress_block.h"

using namespace sluice;         // NOLINT
using namespace std::literals;  // NOLINT

namespace {

struct Bench {
  MemoryBudget budget{kGiB};
  Books books;
  Validator validator{books};
  VectorOutbox<ValidatedBlock> out;

  ValidatedBlock& validate(test::EgressBlock& block) {
    out.items.clear();
    REQUIRE(validator.process(block.block(budget), out).ok());
    REQUIRE(out.items.size() == 1);
    return out.items[0];
  }
};

std::vector<std::string> events_of(const ValidatedBlock& block) {
  std::vector<std::string> events;
  for (std::size_t i = 0; i < block.tape.size(); ++i) {
    events.emplace_back(block.tape.text(block.tape.event(i).root, block.source.text()));
  }
  return events;
}

const std::string kMixed =
    "<?xml version='1.0'?><EVENT><a>1</a></EVENT>\n"
    "<EVENT><b></c></EVENT>"
    "<EVENT>2</EVENT> junk "
    "<EVENT><!DOCTYPE x>3</EVENT>"
    "<?xml version='1.0' encoding='ISO-8859-1'?><EVENT>\xE9</EVENT>"
    "<EVENT><a>cut off";

}  // namespace

TEST_CASE("accepted_and_rejected_pieces_are_told_apart_with_exact_bytes_and_reasons") {
  for (const OutputFormat format : {OutputFormat::xml, OutputFormat::json}) {
    Bench bench;
    SegmentSettings settings;
    settings.format = format;
    test::EgressBlock block(settings);
    block.add(kMixed);
    block.add("<EVENT>second record</EVENT>");
    const ValidatedBlock& made = bench.validate(block);
    CHECK(events_of(made) == std::vector<std::string>{"<EVENT><a>1</a></EVENT>", "<EVENT>2</EVENT>",
                                                      "<EVENT>\xC3\xA9</EVENT>",
                                                      "<EVENT>second record</EVENT>"});
    REQUIRE(made.rejected.size() == 4);
    CHECK(made.pieces == 8);
    CHECK(made.last);
    CHECK(made.rejected[0].bytes == "<EVENT><b></c></EVENT>");
    CHECK(made.rejected[0].reason == "not well-formed: opening and ending tag do not match");
    CHECK(made.rejected[0].line == 1);
    CHECK(made.rejected[0].column == 15);
    CHECK(made.rejected[0].sequence == sequence_of(3, 1));
    CHECK(made.rejected[0].peer.port == 4711);
    CHECK(made.rejected[1].bytes == "junk ");
    CHECK(made.rejected[1].reason == "text outside an element");
    CHECK(made.rejected[1].sequence == sequence_of(3, 3));
    CHECK(made.rejected[2].bytes == "<EVENT><!DOCTYPE x>3</EVENT>");
    CHECK(made.rejected[3].bytes == "<EVENT><a>cut off");
    CHECK(made.rejected[3].reason == "the connection ended inside a document");
    CHECK(bench.books.events_validated == 4);
    CHECK(bench.books.events_rejected == 4);
  }
}

TEST_CASE("d18_the_recorded_list_of_rejects_decides") {
  Bench bench;
  test::EgressBlock block{SegmentSettings{}};
  block.add("<EVENT>1</EVENT><EVENT>2</EVENT><EVENT><a></b></EVENT><EVENT>4</EVENT>");
  block.segment().known_rejects = RejectList{{{1, "recorded", 7, 8}}};
  const ValidatedBlock& made = bench.validate(block);
  CHECK(events_of(made) ==
        std::vector<std::string>{"<EVENT>1</EVENT>", "<EVENT><a></b></EVENT>", "<EVENT>4</EVENT>"});
  REQUIRE(made.rejected.size() == 1);
  CHECK(made.rejected[0].bytes == "<EVENT>2</EVENT>");
  CHECK(made.rejected[0].reason == "recorded");
  CHECK(made.rejected[0].line == 7);
  CHECK(made.rejected[0].column == 8);
}

TEST_CASE("d7_a_flipped_bit_costs_one_record_and_is_counted") {
  Bench bench;
  test::EgressBlock block{SegmentSettings{}};
  block.add("<EVENT>1</EVENT>");
  block.add("<EVENT>2</EVENT><EVENT>3</EVENT>");
  block.add("<EVENT>4</EVENT>");
  // Somewhere in the second record's run.
  block.flip_bit((kRecordsBegin + 4 * kRecordHeaderBytes + kPieceBytes + 16 + 30) * 8);
  const ValidatedBlock& made = bench.validate(block);
  CHECK(events_of(made) == std::vector<std::string>{"<EVENT>1</EVENT>", "<EVENT>4</EVENT>"});
  CHECK(made.damaged_bytes > 0);
  CHECK(bench.books.bytes_damaged == made.damaged_bytes);
}

TEST_CASE("the_same_block_once_more_is_the_same") {
  Bench bench;
  test::EgressBlock block{SegmentSettings{}};
  block.add("<EVENT>1</EVENT>");
  VectorOutbox<ValidatedBlock> out;
  REQUIRE(bench.validator.process(block.block(bench.budget), out).ok());
  REQUIRE(bench.validator.process(block.block(bench.budget), out).ok());
  CHECK(events_of(out.items[0]) == events_of(out.items[1]));
}

TEST_CASE("a_block_gives_back_the_room_that_it_does_not_need") {
  Bench bench;
  test::EgressBlock block{SegmentSettings{}};
  std::string stream;
  for (int i = 0; i < 10000; ++i) {
    stream += "<EVENT><a>some text that is not much</a></EVENT>\n";
  }
  block.add(stream);
  const ValidatedBlock& made = bench.validate(block);
  CHECK(made.tape.size() == 10000);
  CHECK(bench.budget.bytes_used() < 5 * stream.size());
  CHECK(bench.budget.bytes_used() >= stream.size());
  bench.out.items.clear();
  CHECK(bench.budget.bytes_used() == 0);
}
