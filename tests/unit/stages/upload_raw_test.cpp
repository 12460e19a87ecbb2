// Upload: segments of which the process died, stored as they are.
#include <cerrno>

#include "upload_fixture.h"

namespace sluice {
namespace {

using namespace upload_test;

struct RawFixture : Fixture {
  RawFixture() : RawFixture(UploadOptions{}) {}
  explicit RawFixture(UploadOptions given) : Fixture(given) {}

  // What the next process, which has to leave it alone, makes of a segment.
  std::shared_ptr<SealedSegment> again(const SealedSegment& segment) {
    auto raw = std::make_shared<SealedSegment>();
    raw->id = segment.id;
    raw->path = segment.path;
    raw->settings = segment.settings;
    raw->seal = segment.seal;
    raw->found_at_start = true;
    raw->raw = true;
    raw->known_rejects = read_rejects(filesystem, stream->path(), segment.id).value();
    return raw;
  }
  // The process dies once everything is stored, before the segment is gone.
  void die_before_the_end(std::size_t objects) {
    filesystem.fail({.op = FaultFilesystem::Op::unlink,
                     .times = 1'000'000,
                     .code = EIO,
                     .path_has = "/spool/xml"});
    REQUIRE(run_until([&] { return raised("spool.upload_files"); }));
    REQUIRE(store.objects.size() == objects);
    filesystem.clear_faults();
    restart();
  }
  void give_image(const SealedSegmentPtr& segment, const std::vector<std::string>& parts) {
    for (std::size_t i = 0; i < parts.size(); ++i) {
      ConvertedBlock block;
      block.segment = segment;
      block.index = static_cast<std::uint32_t>(i);
      block.last = i + 1 == parts.size();
      auto room = budget.try_charge(parts[i].size());
      REQUIRE(room);
      block.body = Buffer::copy_of(as_bytes(parts[i]), std::move(*room));
      REQUIRE(uploader->process(std::move(block), out));
    }
  }
  [[nodiscard]] std::string condition() const {
    for (const auto& condition : conditions.current()) {
      if (condition.name.starts_with("spool.crashing_segment:")) {
        return condition.message;
      }
    }
    return {};
  }
  [[nodiscard]] bool is_set_aside(const SealedSegment& segment) {
    return !on_disk(segment) && filesystem.info(segment_path("/spool/quarantine", segment.id)).ok();
  }
};

TEST_CASE_FIXTURE(RawFixture, "p11_o20_a_raw_segment_is_stored_as_it_is_set_aside_and_named") {
  const auto segment = again(*make_segment(3));
  give_image(segment, {"one ", "two ", "three"});
  REQUIRE(run_to_outcomes(1));
  CHECK(out.items[0].kind == Kind::set_aside);
  REQUIRE(store.objects.size() == 1);
  const auto* stored = object("_segment");
  REQUIRE(stored != nullptr);
  CHECK(stored->bytes == "one two three");
  CHECK(stored->value("segment") == to_string(segment->id));
  CHECK(stored->value("digest") == to_hex(segment->seal.summary.digest));
  CHECK(stored->value("pieces") == "3");
  CHECK(stored->value("last-seq") == std::to_string(sequence_of(segment->id.num, 2)));
  CHECK(store.count("head ") == 4);
  CHECK(is_set_aside(*segment));
  CHECK(books.pieces_set_aside == 3);
  CHECK(books.events_uploaded == 0);
  CHECK(budget.bytes_used() == 0);
  const auto all = lines();
  REQUIRE(all.size() == 1);
  CHECK(all[0].object == "segment");
  CHECK(all[0].events == 3);
  CHECK(all[0].key == store.objects.begin()->first);
  CHECK(condition().find(all[0].key) != std::string::npos);
  CHECK(condition().find("`sluice spool cat /spool/quarantine/seg-" + to_string(segment->id) +
                         ".wal`") != std::string::npos);
}

TEST_CASE("p11_a_raw_segment_whose_objects_are_all_there_is_done") {
  const std::vector<BlockText> no_rejects{{{"one", "two"}, {}}};
  const std::vector<BlockText> some_rejects{{{"one"}, {"<bad"}}};
  const std::vector<BlockText> all_rejects{{{}, {"<bad", "<worse"}}};
  for (const auto& texts : {no_rejects, some_rejects, all_rejects}) {
    for (const bool list_is_there : {true, false}) {
      for (const bool in_parts : {true, false}) {
        CAPTURE(texts[0].events.size());
        CAPTURE(list_is_there);
        CAPTURE(in_parts);
        UploadOptions options;
        options.part_bytes = in_parts ? 4 : kMiB;
        RawFixture fixture(options);
        const auto segment = fixture.make_segment(2);
        fixture.give(segment, texts);
        const std::size_t objects = texts[0].rejected.empty() ? 1 : texts[0].events.empty() ? 2 : 3;
        fixture.die_before_the_end(objects);
        REQUIRE(fixture.on_disk(*segment));
        auto raw = fixture.again(*segment);
        if (!list_is_there) {
          raw->known_rejects.reset();
        }
        fixture.give_image(raw, {"image ", "of it"});
        REQUIRE(fixture.run_to_outcomes(1));
        // Without the list nobody knows that there were no events, and, of an object in parts, that
        // nothing was rejected.
        const bool known =
            list_is_there || (!texts[0].events.empty() && !(in_parts && texts[0].rejected.empty()));
        CHECK(fixture.out.items[0].kind == (known ? Kind::done : Kind::set_aside));
        CHECK(fixture.store.objects.size() == objects + (known ? 0 : 1));
        CHECK(fixture.store.open_uploads() == 0);
        CHECK_FALSE(fixture.on_disk(*segment));
        CHECK(fixture.books.events_uploaded + fixture.books.pieces_quarantined +
                  fixture.books.pieces_set_aside ==
              2);
        CHECK(fixture.store.overwrites == 0);
      }
    }
  }
}

TEST_CASE("p11_a_raw_segment_with_a_part_of_its_objects_is_stored_as_it_is") {
  for (const std::string missing : {"xml-events/", "_raw.xml", "_raw.reasons"}) {
    CAPTURE(missing);
    RawFixture fixture;
    const auto segment = fixture.make_segment(2);
    fixture.store.faults = {{.op = "put", .key_has = missing, .times = -1, .error = kUnavailable}};
    fixture.give(segment, {{{"one"}, {"<bad"}}});
    REQUIRE(fixture.run_until([&] { return fixture.store.objects.size() == 2; }));
    fixture.restart();
    fixture.store.faults.clear();
    fixture.give_image(fixture.again(*segment), {"image"});
    REQUIRE(fixture.run_to_outcomes(1));
    CHECK(fixture.out.items[0].kind == Kind::set_aside);
    CHECK(fixture.store.objects.size() == 3);
    CHECK(fixture.object("_segment")->bytes == "image");
    REQUIRE(fixture.lines().size() == 1);
    CHECK(fixture.lines()[0].object == "segment");
  }
}

TEST_CASE_FIXTURE(RawFixture,
                  "p11_a_raw_segment_that_is_stored_is_only_set_aside_after_a_restart") {
  for (const bool metadata : {true, false}) {
    CAPTURE(metadata);
    RawFixture fixture;
    fixture.store.abilities.metadata = metadata;
    const auto segment = fixture.make_segment(1);
    fixture.give_image(fixture.again(*segment), {"image"});
    fixture.die_before_the_end(1);
    REQUIRE(fixture.on_disk(*segment));
    fixture.give_image(fixture.again(*segment), {"image"});
    REQUIRE(fixture.run_to_outcomes(1));
    CHECK(fixture.out.items[0].kind == Kind::set_aside);
    CHECK(fixture.store.writes.size() == 1);
    CHECK(fixture.store.overwrites == 0);
    CHECK(fixture.is_set_aside(*segment));
    CHECK(fixture.books.pieces_set_aside == 1);
  }
}

TEST_CASE("p11_a_large_raw_segment_goes_in_parts_while_it_is_read") {
  UploadOptions options;
  options.part_bytes = 1000;
  RawFixture fixture(options);
  const auto segment = fixture.again(*fixture.make_segment(1));
  std::vector<std::string> parts;
  std::string whole;
  for (char c = 'a'; c <= 'z'; ++c) {
    parts.emplace_back(700, c);
    whole += parts.back();
  }
  fixture.give_image(segment, parts);
  REQUIRE(fixture.run_to_outcomes(1));
  CHECK(fixture.object("_segment")->bytes == whole);
  CHECK(fixture.store.count("part ") > 10);
  CHECK(fixture.is_set_aside(*segment));
}

TEST_CASE_FIXTURE(RawFixture,
                  "p11_another_object_under_the_key_of_a_raw_segment_is_not_written_over") {
  const auto segment = again(*make_segment(1));
  const ObjectKeys keys = object_keys(
      segment->settings, {.id = segment->id,
                          .stream = segment->stream,
                          .first_received_at = segment->seal.summary.first_received_at});
  store.objects[keys.segment] = {.bytes = "other", .content_type = "", .metadata = {}, .etag = "x"};
  give_image(segment, {"image"});
  REQUIRE(run_to_outcomes(1));
  CHECK(out.items[0].kind == Kind::set_aside);
  CHECK(store.count("put ") == 0);
  CHECK(is_set_aside(*segment));
  CHECK(condition().find("another object under " + keys.segment) != std::string::npos);
}

TEST_CASE_FIXTURE(RawFixture,
                  "p11_while_its_prefix_refuses_a_raw_segment_holds_no_memory_and_nobody_up") {
  store.faults = {{.op = "put", .key_has = "quarantine/", .times = -1, .error = kDenied}};
  const auto first = make_segment(1);
  give_image(again(*first), {"image"});
  REQUIRE(run_to_outcomes(1));
  CHECK(out.items[0].kind == Kind::parked);
  CHECK(budget.bytes_used() == 0);
  const auto ordinary = make_segment(1);
  give(ordinary, {{{"one"}, {}}});
  REQUIRE(run_to_outcomes(2));
  CHECK(out.items[1].kind == Kind::done);
  store.faults.clear();
  REQUIRE(run_to_outcomes(3));
  REQUIRE(out.items[2].kind == Kind::postponed);  // Rotate gives it again
  give_image(again(*first), {"image"});
  REQUIRE(run_to_outcomes(4));
  CHECK(out.items[3].kind == Kind::set_aside);
  CHECK(object("_segment")->bytes == "image");
}

TEST_CASE("p11_a_large_raw_segment_lets_go_of_its_memory_while_its_prefix_refuses") {
  UploadOptions options;
  options.part_bytes = 1000;
  RawFixture fixture(options);
  fixture.store.faults = {
      {.op = "create", .key_has = "quarantine/", .times = -1, .error = kDenied}};
  const auto segment = fixture.again(*fixture.make_segment(1));
  const auto block = [&](std::uint32_t index, bool last) {
    ConvertedBlock made;
    made.segment = segment;
    made.index = index;
    made.last = last;
    auto room = fixture.budget.try_charge(700);
    REQUIRE(room);
    made.body = Buffer::copy_of(as_bytes(std::string(700, 'x')), std::move(*room));
    REQUIRE(fixture.uploader->process(std::move(made), fixture.out));
  };
  block(0, false);
  block(1, false);
  REQUIRE(fixture.run_until([&] { return fixture.budget.bytes_used() == 0; }));
  block(2, false);
  CHECK(fixture.budget.bytes_used() == 0);
  block(3, true);
  REQUIRE(fixture.run_to_outcomes(1));
  CHECK(fixture.out.items[0].kind == Kind::parked);
  fixture.store.faults.clear();
  REQUIRE(fixture.run_to_outcomes(2));
  REQUIRE(fixture.out.items[1].kind == Kind::postponed);
  fixture.give_image(segment, {std::string(700, 'x'), std::string(2100, 'x')});
  REQUIRE(fixture.run_to_outcomes(3));
  CHECK(fixture.out.items[2].kind == Kind::set_aside);
  CHECK(fixture.object("_segment")->bytes == std::string(2800, 'x'));
}

}  // namespace
}  // namespace sluice
