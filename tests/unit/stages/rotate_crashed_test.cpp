// Rotate: segments of which earlier processes died.
#include <doctest/doctest.h>

#include <csignal>

#include "common/platform/crash_marks.h"
#include "common/spool/segment_catalog.h"
#include "spool_rig.h"

using namespace sluice;

namespace {

struct Fixture {
  void write_segment(SpoolRig& rig, const std::vector<std::string>& events) {
    auto connection = rig.connect();
    for (const std::string& event : events) {
      REQUIRE(rig.give(rig.batch(connection, {event})).ok());
    }
    REQUIRE(rig.give(SealNow{}).ok());
  }
  // Three segments, the one in the middle larger than a block; sealed, and not uploaded.
  void write_three() {
    SpoolRig::Options options;
    options.rotator.segments_admitted_max = 0;
    SpoolRig rig(world, options);
    write_segment(rig, {"<first/>"});
    write_segment(rig, {std::string(3000, 'x'), std::string(3000, 'y'), std::string(3000, 'z')});
    write_segment(rig, {"<third/>"});
    REQUIRE(rig.egress().ok());
    for (const auto& [id, reason] : rig.handed_over) {
      ids.push_back(id);
    }
    REQUIRE(ids.size() == 3);
  }
  void crash(const SegmentId& id, int times) {
    for (int i = 0; i < times; ++i) {
      const auto line = encode_crash_mark({SIGSEGV, id, 1'700'000'000});
      marks.append(line.data(), line.size());
    }
    REQUIRE(replace_file(world.filesystem, crashes_path("/spool"), marks).ok());
  }
  std::string file_of(const SegmentId& id) {
    return read_file(world.filesystem, segment_path("/spool/xml", id), kMiB).value();
  }
  static std::string condition(const SpoolRig& rig, const SegmentId& id) {
    for (const auto& condition : rig.conditions.current()) {
      if (condition.name == crashing_condition(id)) {
        return condition.message;
      }
    }
    return {};
  }

  SpoolWorld world;
  std::vector<SegmentId> ids;
  std::string marks;
};

}  // namespace

TEST_CASE_FIXTURE(
    Fixture, "p11_a_segment_of_which_three_processes_died_goes_out_as_it_is_and_others_as_ever") {
  write_three();
  crash(ids[1], 3);
  const std::string file = file_of(ids[1]);
  std::optional<SpoolRig> made(std::in_place, world);
  SpoolRig& rig = *made;
  REQUIRE(rig.egress().ok());
  CHECK(stored_events(world) == std::vector<std::string>{"<first/>", "<third/>"});
  REQUIRE(rig.images.size() == 1);
  CHECK(rig.images[ids[1]] == file);
  CHECK(rig.found_at_start[ids[1]]);  // looked up before its first PUT
  CHECK(file.size() > 2 * std::size_t{rig_settings().block_bytes});
  CHECK(rig.books.pieces_set_aside == 3);
  CHECK(rig.books.pieces_in_spool == 0);
  CHECK(rig.difference() == 0);
  CHECK(rig.budget.bytes_used() == 0);
  // Given back by hand, it is a segment as any other.
  made.reset();
  const Path name = segment_path("", ids[1]);
  REQUIRE(world.filesystem.rename("/spool/quarantine" / name, "/spool/xml" / name).ok());
  made.emplace(world);
  REQUIRE(made->egress().ok());
  CHECK(stored_events(world).size() == 5);
  CHECK(made->images.empty());
  CHECK(read_file(world.filesystem, crashes_path("/spool"), kMiB).value().empty());
}

TEST_CASE_FIXTURE(Fixture, "p11_a_segment_of_which_two_processes_died_is_tried_again") {
  write_three();
  crash(ids[1], 2);
  SpoolRig rig(world);
  REQUIRE(rig.egress().ok());
  CHECK(rig.images.empty());
  CHECK(stored_events(world).size() == 5);
}

TEST_CASE_FIXTURE(Fixture, "p11_o20_a_segment_that_crashed_the_process_is_named_in_one_sentence") {
  write_three();
  crash(ids[0], 1);
  crash(ids[1], 3);
  SpoolRig::Options options;
  options.rotator.segments_admitted_max = 0;
  std::optional<SpoolRig> rig(std::in_place, world, options);
  REQUIRE(rig->egress().ok());
  CHECK(condition(*rig, ids[0]) == "the process died by SIGSEGV while it worked on segment " +
                                       to_string(ids[0]) +
                                       ", 1 of 3 times: it is tried again; please report it");
  CHECK(condition(*rig, ids[1]).find("3 of 3 times: it is looked into no more") !=
        std::string::npos);
  CHECK(condition(*rig, ids[2]).empty());
  CHECK(rig->conditions.ready());
  rig.reset();
  rig.emplace(world);
  REQUIRE(rig->egress().ok());
  CHECK(condition(*rig, ids[0]).empty());  // it went well
  CHECK_FALSE(condition(*rig, ids[1]).empty());
}

TEST_CASE_FIXTURE(Fixture, "p11_a_segment_whose_scan_is_what_crashes_goes_out_unread") {
  SegmentId id;
  {
    SpoolRig rig(world);
    REQUIRE(rig.give(rig.batch(rig.connect(), {"<a/>", "<b/>"}, ConnectionEnd::finished)).ok());
    id.num = rig.stream->writing_num.load();
  }
  world.filesystem.restart(1);
  const auto entries = world.filesystem.list("/spool/xml");
  REQUIRE(entries->size() == 1);
  id = *segment_id_of(entries->front().name, ".wal");
  crash(id, 3);
  const std::string file = file_of(id);
  SpoolRig rig(world);
  REQUIRE(rig.egress().ok());
  CHECK(rig.images[id] == file);
  CHECK(file.find("<b/>") != std::string::npos);
  CHECK(rig.difference() == 0);
  CHECK(world.filesystem.info(segment_path("/spool/quarantine", id)).ok());
}
