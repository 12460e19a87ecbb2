// `sluice replay` on a disk that fails and loses power: whatever happens, each event is delivered
// once or lies where it lay.
#include <functional>

#include "replay_site.h"

using namespace sluice;

namespace {

using Op = FaultFilesystem::Op;

// Calls `act` with the power going at its first call of the disk, its second, and so on until it
// comes through, each with some seeds; `judge` sees what the power left.
void cut_the_power_at_each_call(const std::function<void(ReplaySite&)>& prepare,
                                const std::function<void(ReplaySite&)>& act,
                                const std::function<void(ReplaySite&)>& judge) {
  bool came_through = false;
  std::uint64_t calls = 0;
  while (!came_through) {
    ++calls;
    REQUIRE(calls < 1000);
    for (std::uint64_t seed = 0; seed < 6; ++seed) {
      CAPTURE(calls);
      CAPTURE(seed);
      ReplaySite site;
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

TEST_CASE("a_segment_that_was_set_aside_goes_back_under_its_name_with_its_seal") {
  ReplaySite site;
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
  cut_the_power_at_each_call([](ReplaySite& site) { site.set_aside_a_cut_segment(); },
                             [](ReplaySite& site) { (void)site.run_with({.all_set_aside = true}); },
                             [&](ReplaySite& site) {
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
  ReplaySite site;
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
  ReplaySite site;
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
  ReplaySite site;
  const SegmentId id = site.set_aside_a_cut_segment(true);
  CHECK(site.run(to_string(id)) == 1);
  CHECK(site.says("there is nothing left to replay"));
}

TEST_CASE("a_file_is_replayed_once_under_any_name_unless_again_is_asked_for") {
  ReplaySite site;
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
  ReplaySite site;
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
      [](ReplaySite& site) { site.put(kFolder / "one.xml", "<a/>\n<b/>\n"); },
      [](ReplaySite& site) { (void)site.run("/files/one.xml"); },
      [&](ReplaySite& site) {
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
  for (const auto& refusing : {std::pair{Op::write, ".wal"}, std::pair{Op::sync, ".wal"},
                               std::pair{Op::open, ".wal.tmp"}, std::pair{Op::link, ".wal"}}) {
    CAPTURE(refusing.second);
    ReplaySite site;
    site.put(kFolder / "one.xml", "<a/>");
    site.world.filesystem.fail(
        {.op = refusing.first, .times = 9, .code = ENOSPC, .path_has = refusing.second});
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

TEST_CASE("p7_a_spool_that_is_held_or_not_there_is_left_alone") {
  ReplaySite site;
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
