// The ledger against a listing of the store.
#include "commands/audit.h"

#include <doctest/doctest.h>

#include "common/s3/object_key.h"

namespace sluice {
namespace {

using Kind = AuditFinding::Kind;

constexpr SegmentId kSegment{.num = 5, .uid = 0xABCDEF};

ObjectKeys keys_of(const SegmentId& id) {
  SegmentSettings settings;
  settings.instance = "gate";
  return object_keys(settings, {.id = id, .stream = Stream::xml, .first_received_at = {}});
}

// Of a segment of ten pieces, `events` of which are in this object.
LedgerEntry line(const std::string& key, const std::string& object, std::uint64_t events,
                 const SegmentId& id = kSegment) {
  return {.key = key,
          .object = object,
          .segment = id,
          .bytes = 100,
          .events = events,
          .sha256 = {},
          .etag = "\"e-" + object + "\"",
          .digest = {},
          .first_sequence = sequence_of(id.num, 0),
          .last_sequence = sequence_of(id.num, 9)};
}

ListedObject listed(const LedgerEntry& entry) {
  return {.key = entry.key, .bytes = entry.bytes, .etag = entry.etag, .modified_at = {}};
}

struct Fixture {
  Fixture() {
    const ObjectKeys keys = keys_of(kSegment);
    lines = {line(keys.data, "data", 8), line(keys.raw, "raw", 2),
             line(keys.reasons, "reasons", 0)};
    for (const LedgerEntry& entry : lines) {
      objects.push_back(listed(entry));
    }
  }
  AuditReport report() {
    Auditor auditor("gate", prefixes);
    for (const LedgerEntry& entry : lines) {
      auditor.add_line(entry);
    }
    for (const ListedObject& object : objects) {
      auditor.add_object(object);
    }
    for (const SpooledSegment& segment : spooled) {
      auditor.add_segment(segment);
    }
    return auditor.report();
  }
  // The one thing that is wrong.
  AuditFinding finding() {
    const AuditReport made = report();
    REQUIRE(made.findings.size() == 1);
    return made.findings[0];
  }

  std::vector<LedgerEntry> lines;
  std::vector<ListedObject> objects;
  std::vector<SpooledSegment> spooled;
  std::vector<std::string> prefixes = {"xml-events/", "quarantine/"};
};

TEST_CASE("objects_under_prefixes_that_are_not_listed_are_counted_and_complete_their_segment") {
  Fixture fixture;
  fixture.prefixes = {"quarantine/"};
  fixture.objects.erase(fixture.objects.begin());  // the data
  const AuditReport report = fixture.report();
  CHECK(report.findings.empty());
  CHECK(report.elsewhere == 1);
  CHECK(report.objects == 2);
}

TEST_CASE("a_store_that_holds_what_the_ledger_says_has_no_findings") {
  Fixture fixture;
  fixture.lines.push_back(fixture.lines[0]);  // a crash between line and unlink
  const AuditReport report = fixture.report();
  CHECK(report.findings.empty());
  CHECK(report.objects == 3);
  CHECK(report.bytes == 300);
  CHECK(report.events == 10);
  CHECK(report.unlisted == 0);
}

TEST_CASE("an_object_that_is_gone_is_lost") {
  Fixture fixture;
  fixture.objects.erase(fixture.objects.begin());
  CHECK(fixture.finding().kind == Kind::lost);
  CHECK(fixture.finding().subject == keys_of(kSegment).data);
  CHECK(fixture.report().events == 2);
}

TEST_CASE("an_object_of_another_size_or_etag_is_changed") {
  Fixture fixture;
  fixture.objects[0].bytes = 101;
  CHECK(fixture.finding().kind == Kind::changed);
  CHECK(fixture.finding().detail == "101 bytes in the store, 100 in the ledger");
  fixture.objects[0].bytes = 100;
  fixture.objects[0].etag = "\"other\"";
  CHECK(fixture.finding().kind == Kind::changed);
  fixture.objects[0].etag = "";  // a directory has none
  CHECK(fixture.report().findings.empty());
}

TEST_CASE("a_second_object_of_a_segment_is_doubled_wherever_it_comes_from") {
  Fixture fixture;
  SegmentSettings settings;
  settings.instance = "another-name";
  settings.format = OutputFormat::jsonl;
  const ObjectKeys other =
      object_keys(settings, {.id = kSegment, .stream = Stream::xml, .first_received_at = {}});
  fixture.objects.push_back({.key = other.data, .bytes = 5, .etag = "", .modified_at = {}});
  CHECK(fixture.finding().kind == Kind::doubled);
  CHECK(fixture.finding().subject == other.data);
  // The same by the ledger alone.
  fixture.objects.pop_back();
  fixture.lines.push_back(line(other.data, "data", 0));
  fixture.objects.push_back(listed(fixture.lines.back()));
  CHECK(fixture.finding().kind == Kind::doubled);
}

TEST_CASE("a_segment_whose_objects_do_not_hold_its_events_is_incomplete") {
  Fixture fixture;
  fixture.lines[0].events = 7;
  CHECK(fixture.finding().kind == Kind::incomplete);
  CHECK(fixture.finding().subject == to_string(kSegment));
  // Of the oldest segments the ledger may have forgotten one line and not another.
  fixture.lines.erase(fixture.lines.begin(), fixture.lines.begin() + 2);
  fixture.objects.erase(fixture.objects.begin(), fixture.objects.begin() + 2);
  CHECK(fixture.report().findings.empty());
}

TEST_CASE("what_waits_in_the_spool_is_counted_and_what_was_set_aside_is_a_finding") {
  Fixture fixture;
  fixture.spooled = {{.id = kSegment, .pieces = 10},  // confirmed, not unlinked yet
                     {.id = {.num = 6, .uid = 1}, .pieces = 4},
                     {.id = {.num = 7, .uid = 1}}};  // being written
  AuditReport report = fixture.report();
  CHECK(report.findings.empty());
  CHECK(report.waiting == 2);
  CHECK(report.waiting_pieces == 4);
  fixture.spooled.push_back({.id = kSegment, .pieces = 10, .set_aside = true});  // for its damage
  CHECK(fixture.report().findings.empty());
  fixture.spooled.push_back({.id = {.num = 3, .uid = 2}, .pieces = 8, .set_aside = true});
  const AuditFinding finding = fixture.finding();
  CHECK(finding.kind == Kind::set_aside);
  CHECK(finding.subject == to_string(SegmentId{.num = 3, .uid = 2}));
  CHECK(finding.detail.starts_with("8 events in SPOOL_DIR/quarantine"));
  CHECK(fixture.report().waiting == 2);
}

TEST_CASE("p11_a_segment_that_was_stored_as_it_is_is_there_with_all_its_events") {
  Fixture fixture;
  const std::string key = keys_of(kSegment).segment;
  fixture.lines = {line(key, "segment", 10)};
  fixture.objects = {listed(fixture.lines[0])};
  CHECK(fixture.report().findings.empty());
  CHECK(fixture.report().events == 10);
  // Some of its objects were confirmed before it crashed the process.
  fixture.lines.push_back(line(keys_of(kSegment).data, "data", 8));
  fixture.objects.push_back(listed(fixture.lines[1]));
  CHECK(fixture.report().findings.empty());
  fixture.objects.erase(fixture.objects.begin());
  CHECK(fixture.finding().kind == Kind::lost);
  fixture.lines.clear();
  fixture.objects = {{.key = key, .bytes = 100, .etag = "", .modified_at = {}}};
  CHECK(fixture.report().unlisted == 1);
  fixture.spooled = {{.id = kSegment, .pieces = 10, .set_aside = true}};  // and so it is no finding
  CHECK(fixture.report().findings.empty());
}

TEST_CASE("objects_of_this_instance_without_a_line_are_counted_and_others_are_none_of_ours") {
  Fixture fixture;
  const SegmentId unknown{.num = 6, .uid = 1};
  fixture.objects.push_back(
      {.key = keys_of(unknown).data, .bytes = 1, .etag = "", .modified_at = {}});
  SegmentSettings settings;
  settings.instance = "other";
  const ObjectKeys other =
      object_keys(settings, {.id = unknown, .stream = Stream::xml, .first_received_at = {}});
  fixture.objects.push_back({.key = other.data, .bytes = 1, .etag = "", .modified_at = {}});
  fixture.objects.push_back(
      {.key = "xml-events/notes.txt", .bytes = 1, .etag = "", .modified_at = {}});
  const AuditReport report = fixture.report();
  CHECK(report.findings.empty());
  CHECK(report.unlisted == 1);
}

}  // namespace
}  // namespace sluice
