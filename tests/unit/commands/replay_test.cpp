// `sluice replay` on a disk that fails and loses power: whatever happens, each event is delivered
// once or lies where it lay.
#include "commands/replay.h"

#include <doctest/doctest.h>

#include <array>
#include <set>
#include <sstream>

#include "commands/replay_notes.h"
#include "commands/replay_source.h"
#include "commands/spool_export.h"
#include "common/base/utc_text.h"
#include "common/spool/ledger.h"
#include "common/spool/segment_catalog.h"
#include "common/spool/segment_origin.h"
#include "common/spool/segment_state.h"
#include "spool_rig.h"

using namespace sluice;

namespace {

const Path kQuarantine = "/spool/quarantine";
const Path kFolder = "/files";

using Op = FaultFilesystem::Op;

// What outlives the processes: the disk and the store. A server runs only inside serve().
struct Site {
  Site() {
    config.spool_dir = "/spool";
    config.output_dir = "/objects";
    REQUIRE(config.destination() == rig_settings().destination);
    REQUIRE(world.filesystem.create_directories(kFolder).ok());
    SpoolRig rig(world);  // makes the spool
    REQUIRE(rig.failure.empty());
  }

  // A start of a server that delivers all that the spool holds, and writes its ledger.
  void serve() {
    SpoolRig rig(world);
    REQUIRE(rig.failure == "");
    const auto before = world.store;
    REQUIRE(rig.egress().ok());
    CHECK(rig.difference() == 0);
    Ledger ledger(world.filesystem, world.clock, {.directory = "/spool"});
    for (const auto& [id, events] : world.store) {
      if (!before.contains(id)) {
        LedgerEntry line;
        line.key = "xml-events/" + to_string(id) + ".xml";
        line.object = "data";
        line.segment = id;
        line.events = events.size();
        ledger.append(line);
      }
    }
    REQUIRE(ledger.flush().ok());
  }

  int run_with(const ReplayOptions& options) {
    std::ostringstream out;
    std::ostringstream errors;
    const int code = replay(config, options,
                            {.filesystem = world.filesystem,
                             .clock = world.clock,
                             .out = out,
                             .errors = errors,
                             .owner = static_cast<std::uint32_t>(::geteuid()),
                             .random = [this] { return world.random(); }});
    said = out.str() + errors.str();
    return code;
  }
  int run(const std::string& source) { return run_with({.sources = {source}}); }
  [[nodiscard]] bool says(const std::string& text) const {
    return said.find(text) != std::string::npos;
  }

  void put(const Path& path, const std::string& content) {
    REQUIRE(replace_file(world.filesystem, path, content).ok());
  }

  // A segment with a `.seal` that cuts off a record, whose events went to the next segment: without
  // its `.seal` it would double them. Delivered is all but this one, which is set aside.
  SegmentId set_aside_a_cut_segment(bool delivered = false) {
    SpoolRig rig(world);
    const auto client = rig.connect();
    const auto end = ConnectionEnd::finished;
    REQUIRE(rig.give(rig.batch(client, {"<a/>", "<b/>"}, end)).ok());
    world.filesystem.fail({.op = Op::sync, .times = 1, .code = EIO, .path_has = ".wal"});
    REQUIRE(rig.give(rig.batch(client, {"<c/>"}, end)).ok());
    REQUIRE(rig.handed_over.size() == 1);
    const SegmentId id = rig.handed_over[0].first;
    REQUIRE(rig.finish_ingest().ok());
    world.filesystem.clear_faults();
    REQUIRE(set_segment_aside(*rig.stream, id, {.reason = "it was refused", .delivered = delivered})
                .ok());
    REQUIRE(rig.egress().ok());
    REQUIRE(stored_events(world) == std::vector<std::string>{"<c/>"});
    return id;
  }

  // A file as sluice stores rejected pieces: its reasons beside it.
  struct Piece {
    std::string bytes;
    std::string reason;
    std::uint16_t port = 1;
    bool continues = false;
  };
  std::string put_raw(const std::vector<Piece>& pieces, const std::string& name = "some") {
    std::string raw;
    std::string reasons;
    for (const Piece& piece : pieces) {
      reasons += R"({"offset":)" + std::to_string(raw.size()) + R"(,"length":)" +
                 std::to_string(piece.bytes.size()) + R"(,"peer":"192.0.2.1:)" +
                 std::to_string(piece.port) + R"(","time":"2026-01-02T03:04:05.678Z","reason":")" +
                 piece.reason + R"(","line":0,"column":0,"sequence":1,"continues":)" +
                 (piece.continues ? "true" : "false") + "}\n";
      raw += piece.bytes;
    }
    put(kFolder / (name + "_raw.xml"), raw);
    put(kFolder / (name + "_raw.reasons.jsonl"), reasons);
    return (kFolder / (name + "_raw.xml")).string();
  }

  std::vector<std::string> names_in(const Path& folder) {
    const auto entries = world.filesystem.list(folder);
    REQUIRE(entries.ok());
    std::vector<std::string> names;
    for (const DirectoryEntry& entry : *entries) {
      names.push_back(entry.name);
    }
    return names;
  }
  std::vector<std::string> in_quarantine() { return names_in(kQuarantine); }

  void lose_the_ledger() {
    for (const std::string& name : names_in("/spool")) {
      if (name.starts_with("ledger-")) {
        REQUIRE(world.filesystem.unlink("/spool/" + name).ok());
      }
    }
  }

  SpoolWorld world;
  Config config;
  std::string said;
};

std::vector<std::string> sorted(std::vector<std::string> events) {
  std::sort(events.begin(), events.end());
  return events;
}

// The only segment of the spool.
SegmentState only_segment(Site& site) {
  const auto listing = list_segments(site.world.filesystem, "/spool/xml").value();
  std::optional<SegmentState> found;
  for (const auto& segment : listing.segments) {
    auto state = inspect_segment(site.world.filesystem, "/spool/xml", segment.id);
    REQUIRE(state.ok());
    if (state->kind != SegmentState::Kind::empty) {
      CHECK_FALSE(found.has_value());
      found = std::move(*state);
    }
  }
  REQUIRE(found.has_value());
  return std::move(*found);
}

// Calls `act` with the power going at its first call of the disk, its second, and so on until it
// comes through, each with some seeds; `judge` sees what the power left.
void cut_the_power_at_each_call(const std::function<void(Site&)>& prepare,
                                const std::function<void(Site&)>& act,
                                const std::function<void(Site&)>& judge) {
  bool came_through = false;
  std::uint64_t calls = 0;
  while (!came_through) {
    ++calls;
    REQUIRE(calls < 1000);
    for (std::uint64_t seed = 0; seed < 6; ++seed) {
      CAPTURE(calls);
      CAPTURE(seed);
      Site site;
      prepare(site);
      if (seed % 3 == 2) {
        site.world.filesystem.fail(
            {.op = Op::sync_directory, .after = seed / 3, .times = 1, .code = EIO});
      }
      site.world.filesystem.power_off_after(calls);
      act(site);
      came_through = !site.world.filesystem.powered_off();
      site.world.filesystem.clear_faults();
      site.world.filesystem.restart(seed);
      judge(site);
    }
  }
  CHECK(calls > 20);
}

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

TEST_CASE("a_segment_that_was_set_aside_goes_back_under_its_name_with_its_seal") {
  Site site;
  const SegmentId id = site.set_aside_a_cut_segment();
  CHECK(site.run_with({.sources = {to_string(id)}, .dry_run = true}) == 0);
  CHECK(site.says("would replay " + to_string(id) + ": 2 events, 0 malformed runs"));
  CHECK(site.in_quarantine().size() == 3);
  CHECK(site.run(to_string(id)) == 0);
  CHECK(site.says("it had been set aside because: it was refused"));
  CHECK(site.in_quarantine().empty());
  site.serve();
  CHECK(site.world.store.at(id) == std::vector<std::string>{"<a/>", "<b/>"});
  CHECK(sorted(stored_events(site.world)) == std::vector<std::string>{"<a/>", "<b/>", "<c/>"});
  CHECK(site.run(to_string(id)) == 1);
  CHECK(site.says("no such segment in /spool/quarantine"));
  const auto notes = read_file(site.world.filesystem, "/spool/replays.jsonl", kMiB).value();
  CHECK(notes.find("it was refused") != std::string::npos);
  CHECK(notes.find(to_string(id)) != std::string::npos);
}

TEST_CASE("p3_a_segment_comes_back_once_whenever_the_power_goes") {
  std::size_t came_back_early = 0;
  cut_the_power_at_each_call([](Site& site) { site.set_aside_a_cut_segment(); },
                             [](Site& site) { (void)site.run_with({.all_set_aside = true}); },
                             [&](Site& site) {
                               // A server may start before anybody tries again.
                               site.serve();
                               came_back_early += site.world.store.size() > 1 ? 1 : 0;
                               CHECK(site.run_with({.all_set_aside = true}) == 0);
                               site.serve();
                               CHECK(sorted(stored_events(site.world)) ==
                                     std::vector<std::string>{"<a/>", "<b/>", "<c/>"});
                               CHECK_FALSE(site.world.store_changed);
                               for (const std::string& name : site.in_quarantine()) {
                                 CHECK_FALSE(name.ends_with(".wal"));
                               }
                             });
  CHECK(came_back_early > 0);
}

TEST_CASE("an_interrupted_return_is_ended_by_the_next_one") {
  Site site;
  const SegmentId id = site.set_aside_a_cut_segment();
  site.world.filesystem.fail({.op = Op::unlink,
                              .times = 1,
                              .code = EIO,
                              .path_has = "quarantine/seg-" + to_string(id) + ".seal"});
  CHECK(site.run(to_string(id)) == 1);
  CHECK_FALSE(site.in_quarantine().empty());
  CHECK(site.run(to_string(id)) == 0);
  CHECK(site.says("back in the spool already"));
  CHECK(site.in_quarantine().empty());
}

TEST_CASE("segments_that_would_not_be_delivered_are_refused_and_stay") {
  Site site;
  const SegmentId id = site.set_aside_a_cut_segment();
  const auto before = site.in_quarantine();
  SUBCASE("the settings name another destination") {
    site.config.output_dir = "/other";
    CHECK(site.run(to_string(id)) == 1);
    CHECK(site.says("its events are for file:///objects, the settings say file:///other"));
  }
  SUBCASE("its seal does not verify") {
    site.world.filesystem.flip_bit(seal_path(kQuarantine, id), 60UL * 8);
    site.world.filesystem.flip_bit(seal_path(kQuarantine, id), (4096UL + 60) * 8);
    CHECK(site.run(to_string(id)) == 1);
    CHECK(site.says(".seal does not verify"));
  }
  SUBCASE("neither copy of its header verifies") {
    site.world.filesystem.flip_bit(segment_path(kQuarantine, id), 60UL * 8);
    site.world.filesystem.flip_bit(segment_path(kQuarantine, id), (4096UL + 60) * 8);
    CHECK(site.run_with({.all_set_aside = true}) == 1);
    CHECK(site.says("neither copy of its header verifies"));
  }
  CHECK(site.in_quarantine() == before);
}

TEST_CASE("a_segment_whose_good_records_are_delivered_is_refused") {
  Site site;
  const SegmentId id = site.set_aside_a_cut_segment(true);
  CHECK(site.run(to_string(id)) == 1);
  CHECK(site.says("there is nothing left to replay"));
}

TEST_CASE("a_file_becomes_one_segment_that_says_where_it_comes_from") {
  Site site;
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

TEST_CASE("a_file_is_replayed_once_under_any_name_unless_again_is_asked_for") {
  Site site;
  site.put(kFolder / "one.xml", "<a/>");
  site.put(kFolder / "two.xml", "<a/>");
  CHECK(site.run_with({.sources = {"/files/one.xml", "/files/two.xml", "/files/one.xml"}}) == 1);
  CHECK(site.says("refused /files/two.xml: already replayed: it is segment"));
  site.serve();
  CHECK(site.run("/files/two.xml") == 1);
  CHECK(site.says("already replayed: stored as xml-events/"));
  site.lose_the_ledger();
  CHECK(site.run("/files/two.xml") == 1);
  CHECK(site.says("already replayed: on 20"));
  CHECK(stored_events(site.world).size() == 1);
  // Not yet known: again changes nothing, and it is known from then on.
  site.put(kFolder / "new.xml", "<new/>");
  CHECK(site.run_with({.sources = {"/files/two.xml", "/files/new.xml"}, .again = true}) == 0);
  CHECK(site.run("/files/new.xml") == 1);
  site.serve();
  CHECK(sorted(stored_events(site.world)) == std::vector<std::string>{"<a/>", "<a/>", "<new/>"});
}

TEST_CASE("a_replayed_file_that_was_set_aside_is_known_and_the_command_for_it_named") {
  Site site;
  site.put(kFolder / "one.xml", "<a/>");
  REQUIRE(site.run("/files/one.xml") == 0);
  const SegmentId id = only_segment(site).header.id;
  {
    SpoolRig rig(site.world);
    REQUIRE(set_segment_aside(*rig.stream, id, {.reason = "refused"}).ok());
  }
  CHECK(site.run("/files/one.xml") == 1);
  CHECK(site.says("sluice replay " + to_string(id)));
}

TEST_CASE("p3_a_file_is_delivered_once_whenever_the_power_goes") {
  std::size_t there_early = 0;
  cut_the_power_at_each_call(
      [](Site& site) { site.put(kFolder / "one.xml", "<a/>\n<b/>\n"); },
      [](Site& site) { (void)site.run("/files/one.xml"); },
      [&](Site& site) {
        for (const std::string& name : site.names_in("/spool/xml")) {
          const auto id = segment_id_of(name, ".wal");
          if (id && site.world.filesystem.info("/spool/xml/" + name)->bytes > kRecordsBegin) {
            const auto state = inspect_segment(site.world.filesystem, "/spool/xml", *id);
            CHECK(state->kind == SegmentState::Kind::sealed);
          }
        }
        site.serve();
        const bool was_there = !site.world.store.empty();
        there_early += was_there ? 1 : 0;
        CHECK(site.run("/files/one.xml") == (was_there ? 1 : 0));
        site.serve();
        CHECK(stored_events(site.world) == std::vector<std::string>{"<a/>", "<b/>"});
        // Also when nothing but our own note remembers it.
        site.lose_the_ledger();
        CHECK(site.run("/files/one.xml") == 1);
        for (const std::string& name : site.names_in("/spool/xml")) {
          CHECK_FALSE(name.ends_with(".tmp"));
        }
      });
  CHECK(there_early > 0);
}

TEST_CASE("d1_where_the_disk_refuses_the_file_stays_and_no_part_of_it_is_there") {
  for (const auto& [op, path] : {std::pair{Op::write, ".wal"}, std::pair{Op::sync, ".wal"},
                                 std::pair{Op::open, ".wal.tmp"}, std::pair{Op::link, ".wal"}}) {
    CAPTURE(static_cast<int>(op));
    Site site;
    site.put(kFolder / "one.xml", "<a/>");
    site.world.filesystem.fail({.op = op, .times = 9, .code = ENOSPC, .path_has = path});
    CHECK(site.run("/files/one.xml") == 1);
    CHECK(site.says("No space left on device"));
    site.world.filesystem.clear_faults();
    for (const std::string& name : site.names_in("/spool/xml")) {
      CHECK_FALSE(name.ends_with(".tmp"));
    }
    CHECK(site.run("/files/one.xml") == 0);
    site.serve();
    CHECK(stored_events(site.world) == std::vector<std::string>{"<a/>"});
  }
}

TEST_CASE("rejected_pieces_are_joined_framed_anew_and_keep_peer_and_time") {
  Site site;
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
  Site site;
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
  Site site;
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
  Site site;
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
  Site site;
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
  Site site;
  const std::string one = site.put_raw({{"<a/>", "x", 1, false}}, "one");
  const std::string two = site.put_raw({{"<a/>", "x", 2, false}}, "two");
  CHECK(site.run_with({.sources = {one, two}}) == 0);
  site.serve();
  CHECK(stored_events(site.world) == std::vector<std::string>{"<a/>", "<a/>"});
}

TEST_CASE("files_that_cannot_be_replayed_are_refused_and_leave_nothing") {
  Site site;
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

TEST_CASE("p7_a_spool_that_is_held_or_not_there_is_left_alone") {
  Site site;
  site.put(kFolder / "one.xml", "<a/>");
  {
    const auto lock = site.world.filesystem.lock("/spool/LOCK", "77\n");
    CHECK(site.run("/files/one.xml") == 3);
    CHECK(site.says("stop it, replay, and start it again"));
    CHECK(site.says("process 77"));
  }
  site.config.spool_dir = "/nowhere";
  CHECK(site.run("/files/one.xml") == 3);
  CHECK_FALSE(site.world.filesystem.list("/nowhere").ok());
  CHECK(site.run_with({}) == 2);
}
