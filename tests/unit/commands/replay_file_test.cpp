// What `sluice replay` makes of files: rejected pieces, exports, events; and what it refuses.
#include <sstream>

#include "commands/replay_notes.h"
#include "commands/replay_source.h"
#include "commands/spool_export.h"
#include "common/base/utc_text.h"
#include "common/spool/segment_origin.h"
#include "replay_site.h"

using namespace sluice;

namespace {

using Op = FaultFilesystem::Op;

}  // namespace

TEST_CASE("sources_are_told_apart_by_their_names") {
  using Kind = ReplaySource::Kind;
  const std::string id = "0000000000000001-00000000000000aa";
  const struct {
    std::string given;
    Kind kind;
  } cases[] = {
      {id, Kind::set_aside},
      {"/spool/quarantine/seg-" + id + ".wal", Kind::set_aside},
      {"/spool/quarantine/../quarantine/seg-" + id + ".why.json", Kind::set_aside},
      {"/spool/quarantine/seg-" + id + ".damage-0000000000002000", Kind::refused},
      {"/elsewhere/seg-" + id + ".torn-0000000000002000", Kind::refused},
      {"/spool/xml/seg-" + id + ".wal", Kind::refused},
      {"/elsewhere/seg-" + id + ".wal", Kind::refused},
      {"/spool/ledger-1.jsonl", Kind::refused},
      {"/spool/xml/anything", Kind::refused},
      {"/files/x_raw.log", Kind::refused},
      {"/files/x_raw.xml", Kind::raw},
      {"/files/x_raw.reasons.jsonl", Kind::raw},
      {"/files/x.xml", Kind::events},
      {"/spool/quarantine/notes.txt", Kind::events},
  };
  for (const auto& one : cases) {
    CAPTURE(one.given);
    const ReplaySource source = replay_source_of(one.given, "/spool");
    CHECK(source.kind == one.kind);
    CHECK((source.kind == Kind::refused) == !source.why.empty());
    if (source.kind == Kind::raw) {
      CHECK(source.path == "/files/x_raw.xml");
      CHECK(source.reasons == "/files/x_raw.reasons.jsonl");
    }
  }
}

TEST_CASE("a_file_becomes_one_segment_that_says_where_it_comes_from") {
  ReplaySite site;
  site.put(kFolder / "some events.xml", "<?xml version=\"1.0\"?>\n<a>1</a>\n\n<b/>junk<a>2</a>");
  CHECK(site.run("/files/some events.xml") == 0);
  CHECK(site.says("3 events, 1 malformed runs"));
  const SegmentState state = only_segment(site);
  CHECK(state.kind == SegmentState::Kind::sealed);
  CHECK(state.settings.instance != "");
  const auto origin = segment_origin_of(state.header.settings);
  REQUIRE(origin.has_value());
  CHECK(origin->file == "some%20events.xml");
  CHECK(origin->sha256.size() == 64);
  site.serve();
  CHECK(stored_events(site.world) ==
        std::vector<std::string>{"<?xml version=\"1.0\"?>\n<a>1</a>", "<b/>", "junk", "<a>2</a>"});
}

TEST_CASE("rejected_pieces_are_joined_framed_anew_and_keep_peer_and_time") {
  ReplaySite site;
  const std::string longer = "longer than MAX_MESSAGE_SIZE";
  const std::string source = site.put_raw({
      {"<a>first half ", longer, 1, true},
      {"<b/>", "whatever Validate said", 2, false},
      {"and second</a>", longer, 1, false},
      {"<c><d>", "the connection ended inside a document", 3, false},
  });
  CHECK(site.run(source) == 0);
  CHECK(site.says("2 events, 1 malformed runs"));
  const SegmentState state = only_segment(site);
  CHECK(utc_milliseconds(state.seal.summary.first_received_at) == "2026-01-02T03:04:05.678Z");
  Buffer buffer = Buffer::allocate(state.seal.summary.end, Charge());
  RecordBlock block;
  REQUIRE(read_records(*state.file, state.header, state.seal.kept[0], buffer, block).ok());
  REQUIRE(block.records.size() == 3);
  const auto text = [&](std::size_t record) { return as_text(block.records[record].run); };
  CHECK(text(0) == "<a>first half and second</a>");
  CHECK(to_string(block.records[0].header.peer) == "192.0.2.1:1");
  CHECK(text(1) == "<b/>");
  CHECK(to_string(block.records[1].header.peer) == "192.0.2.1:2");
  CHECK(text(2) == "<c><d>");
  CHECK(block.records[2].pieces[0].kind == PieceKind::malformed);
  CHECK(block.records[2].pieces[0].reason == CutReason::truncated);
}

TEST_CASE("what_is_still_no_event_keeps_its_pieces_and_reasons") {
  ReplaySite site;
  const std::string source = site.put_raw({
      {"<a/>", "x", 1, false},
      {"text ", "text outside an element", 2, true},
      {"goes on", "text outside an element", 2, false},
  });
  CHECK(site.run(source) == 0);
  const SegmentState state = only_segment(site);
  Buffer buffer = Buffer::allocate(state.seal.summary.end, Charge());
  RecordBlock block;
  REQUIRE(read_records(*state.file, state.header, state.seal.kept[0], buffer, block).ok());
  REQUIRE(block.records.size() == 2);
  const auto pieces = block.records[1].pieces;
  REQUIRE(pieces.size() == 2);
  CHECK(pieces[0].length == 5);
  CHECK(pieces[0].continues);
  CHECK(pieces[1].reason == CutReason::not_xml_here);
}

TEST_CASE("an_export_of_a_segment_set_aside_brings_its_pieces_in_once") {
  ReplaySite site;
  const SegmentId id = site.set_aside_a_cut_segment();
  std::ostringstream said;
  REQUIRE(spool_export(site.world.filesystem, {"/spool", id, kFolder}, said) == 0);
  CHECK(said.str() == "2 pieces, 8 bytes: /files/seg-" + to_string(id) + "_raw.xml\n");
  // Nothing is written over.
  CHECK(spool_export(site.world.filesystem, {"/spool", id, kFolder}, said) == 1);
  const std::string source = "/files/seg-" + to_string(id) + "_raw.xml";
  CHECK(site.run(source) == 0);
  CHECK(site.run(to_string(id)) == 1);
  CHECK(site.says("its events were replayed from " + source));
  site.serve();
  CHECK(sorted(stored_events(site.world)) == std::vector<std::string>{"<a/>", "<b/>", "<c/>"});
  CHECK(site.run(source) == 1);
}

TEST_CASE("an_export_of_a_segment_that_is_delivered_itself_is_refused") {
  ReplaySite site;
  const SegmentId id = site.set_aside_a_cut_segment();
  std::ostringstream said;
  REQUIRE(spool_export(site.world.filesystem, {"/spool", id, kFolder}, said) == 0);
  const std::string source = "/files/seg-" + to_string(id) + "_raw.xml";
  REQUIRE(site.run(to_string(id)) == 0);
  CHECK(site.run(source) == 1);
  CHECK(site.says("exported of segment " + to_string(id) + ": it is segment"));
  // Its stream's folder is looked into as well.
  REQUIRE(site.world.filesystem.unlink(source).ok());
  REQUIRE(site.world.filesystem.unlink("/files/seg-" + to_string(id) + "_raw.reasons.jsonl").ok());
  CHECK(spool_export(site.world.filesystem, {"/spool", id, kFolder}, said) == 0);
  site.serve();
  CHECK(site.run(source) == 1);
  CHECK(site.says("stored as xml-events/"));
  CHECK(spool_export(site.world.filesystem, {"/spool", id, kFolder}, said) == 1);
}

TEST_CASE("an_export_that_the_disk_refuses_leaves_nothing") {
  ReplaySite site;
  const SegmentId id = site.set_aside_a_cut_segment();
  for (const Op op : {Op::open, Op::write, Op::sync, Op::sync_directory}) {
    site.world.filesystem.fail({.op = op,
                                .after = op == Op::sync_directory ? 0U : 1U,
                                .times = 9,
                                .code = EIO,
                                .path_has = "/files"});
    std::ostringstream said;
    CHECK(spool_export(site.world.filesystem, {"/spool", id, kFolder}, said) == 1);
    site.world.filesystem.clear_faults();
    CHECK(site.names_in(kFolder).empty());
  }
}

TEST_CASE("the_same_bytes_rejected_twice_are_two_sources") {
  ReplaySite site;
  const std::string one = site.put_raw({{"<a/>", "x", 1, false}}, "one");
  const std::string two = site.put_raw({{"<a/>", "x", 2, false}}, "two");
  CHECK(site.run_with({.sources = {one, two}}) == 0);
  site.serve();
  CHECK(stored_events(site.world) == std::vector<std::string>{"<a/>", "<a/>"});
}

TEST_CASE("files_that_cannot_be_replayed_are_refused_and_leave_nothing") {
  ReplaySite site;
  std::string expected;
  std::string source = "/files/one.xml";
  SUBCASE("not there") { expected = "No such file"; }
  SUBCASE("empty") {
    site.put(source, "");
    expected = "no event in it";
  }
  SUBCASE("no XML") {
    site.put(source, std::string("\x1f\x8b\x08\x00 gzip", 9) + std::string(200'000, 'x'));
    expected = "its first bytes are no XML";
  }
  SUBCASE("a directory") {
    site.world.filesystem.make_odd(source, FileType::directory);
    expected = "not a regular file";
  }
  SUBCASE("only half an event") {
    site.put(source, "<a><b>");
    expected = "no event in it, 0 events, 1 malformed runs";
  }
  SUBCASE("larger than a segment may be") {
    site.put(source, "<a>" + std::string(100'000, 'x') + "</a>");
    site.config.spool_bytes_max = 800'000;
    expected = "more than an eighth of SPOOL_MAX_BYTES=800000";
  }
  SUBCASE("the spool is full") {
    site.put(source, "<a/>");
    site.put("/spool/quarantine/much", std::string(950'000, 'x'));
    site.config.spool_bytes_max = 2'000'000;  // with the reserve
    expected = "let it drain first";
  }
  SUBCASE("without its reasons") {
    source = site.put_raw({{"<a/>", "x", 1, false}});
    REQUIRE(site.world.filesystem.unlink("/files/some_raw.reasons.jsonl").ok());
    expected = "it belongs beside the _raw.xml";
  }
  SUBCASE("with the reasons of another") {
    source = site.put_raw({{"<a/>", "x", 1, false}});
    site.put(source, "<a/><b/>");
    expected = "one of the two is incomplete";
  }
  SUBCASE("shorter than its reasons say") {
    source = site.put_raw({{"<a/>", "x", 1, false}, {"<b/>", "x", 1, false}});
    site.put(source, "<a/><");
    expected = "ends behind the _raw.xml";
  }
  SUBCASE("with reasons that are no JSON") {
    source = site.put_raw({{"<a/>", "x", 1, false}});
    site.put("/files/some_raw.reasons.jsonl", "peer=1\n");
    expected = "a line that cannot be read";
  }
  CHECK(site.run(source) == 1);
  CHECK(site.says("refused " + source));
  CAPTURE(site.said);
  CHECK(site.says(expected));
  site.serve();
  CHECK(site.world.store.empty());
}

TEST_CASE("a_torn_note_hides_no_other") {
  FaultFilesystem filesystem;
  REQUIRE(filesystem.create_directories("/spool").ok());
  REQUIRE(append_replay_note(filesystem, "/spool",
                             {.source = "one", .sha256 = "aa", .segment = {1, 11}})
              .ok());
  const auto whole = read_file(filesystem, "/spool/replays.jsonl", kMiB).value();
  REQUIRE(replace_file(filesystem, "/spool/replays.jsonl", whole + whole.substr(0, 30)).ok());
  REQUIRE(append_replay_note(filesystem, "/spool",
                             {.source = "two", .sha256 = "bb", .segment = {2, 22}})
              .ok());
  const auto notes = read_replay_notes(filesystem, "/spool").value();
  REQUIRE(notes.size() == 2);
  CHECK(notes.at(11).source == "one");
  CHECK(notes.at(22).segment == SegmentId{2, 22});
}
