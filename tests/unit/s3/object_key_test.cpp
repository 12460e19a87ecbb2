#include "common/s3/object_key.h"

#include <doctest/doctest.h>

#include <chrono>
#include <set>

namespace sluice {
namespace {

using std::chrono::seconds;

// 2026-11-21T09:14:07Z
const WallTime kReceived{seconds(1795252447)};

SegmentSettings settings_of(std::string instance) {
  SegmentSettings settings;
  settings.instance = std::move(instance);
  return settings;
}

SegmentIdentity segment_of(std::uint64_t num, std::uint64_t uid) {
  return {.id = {.num = num, .uid = uid}, .stream = Stream::xml, .first_received_at = kReceived};
}

TEST_CASE("key_is_prefix_time_instance_and_segment") {
  const ObjectKeys keys = object_keys(settings_of("gate-1"), segment_of(17, 0xABCDEF));
  CHECK(keys.data == "xml-events/20261121_091407_gate-1_0000000000000011-0000000000abcdef.xml");
  CHECK(keys.raw == "quarantine/20261121_091407_gate-1_0000000000000011-0000000000abcdef_raw.xml");
  CHECK(keys.reasons ==
        "quarantine/20261121_091407_gate-1_0000000000000011-0000000000abcdef_raw.reasons.jsonl");
  CHECK(keys.segment ==
        "quarantine/20261121_091407_gate-1_0000000000000011-0000000000abcdef_segment");
}

TEST_CASE("date_folders_format_and_compression_shape_the_key") {
  SegmentSettings settings = settings_of("a");
  settings.date_folders = true;
  settings.format = OutputFormat::jsonl;
  settings.compression = Compression::zstd;
  settings.prefix = "";
  settings.quarantine_prefix = "q";
  const ObjectKeys keys = object_keys(settings, segment_of(1, 2));
  CHECK(keys.data == "2026/11/21/20261121_091407_a_0000000000000001-0000000000000002.jsonl.zst");
  CHECK(keys.raw == "q2026/11/21/20261121_091407_a_0000000000000001-0000000000000002_raw.xml");
  settings.compression = Compression::gzip;
  settings.format = OutputFormat::json;
  CHECK(object_keys(settings, segment_of(1, 2)).data.ends_with(".json.gz"));
  SegmentIdentity logs = segment_of(1, 2);
  logs.stream = Stream::logs;
  CHECK(object_keys(settings, logs).raw.ends_with("_raw.log"));
}

TEST_CASE("two_rotations_within_a_second_and_two_instances_give_different_keys") {
  std::set<std::string> keys;
  for (const char* instance : {"a", "b"}) {
    for (std::uint64_t num = 1; num <= 2; ++num) {
      for (std::uint64_t uid = 5; uid <= 6; ++uid) {
        const ObjectKeys made = object_keys(settings_of(instance), segment_of(num, uid));
        keys.insert({made.data, made.raw, made.reasons, made.segment});
      }
    }
  }
  CHECK(keys.size() == 2 * 2 * 2 * 4);
}

TEST_CASE("a_key_says_which_segment_of_which_instance_it_was_made_from") {
  SegmentSettings settings;
  for (const char* instance : {"gate", "gate-1.example_x", "a_20260101_000000_b"}) {
    settings.instance = instance;
    for (const bool folders : {false, true}) {
      settings.date_folders = folders;
      for (const OutputFormat format :
           {OutputFormat::xml, OutputFormat::json, OutputFormat::jsonl}) {
        settings.format = format;
        for (const Compression compression :
             {Compression::none, Compression::gzip, Compression::zstd}) {
          settings.compression = compression;
          const SegmentId id{0x1234, 0xFEDCBA9876543210};
          for (const Stream stream : {Stream::xml, Stream::logs}) {
            const ObjectKeys keys =
                object_keys(settings, {.id = id, .stream = stream, .first_received_at = {}});
            const std::pair<std::string_view, std::string> named[] = {{"data", keys.data},
                                                                      {"raw", keys.raw},
                                                                      {"reasons", keys.reasons},
                                                                      {"segment", keys.segment}};
            for (const auto& [object, key] : named) {
              const auto parts = parse_object_key(key);
              REQUIRE(parts);
              CHECK(parts->segment == id);
              CHECK(parts->instance == instance);
              CHECK(parts->object == object);
            }
          }
        }
      }
    }
  }
  for (const char* other :
       {"", "/", "xml-events/", "a.xml", "20260101_000000_gate_0000000000000001.xml",
        "20260101_000000_gate_0000000000000001-000000000000000G.xml",
        "20260101_000000_gate_0000000000000001-00000000000000AB.xml",
        "20260101_000000_gate-0000000000000001-0000000000000001.xml",
        "20260101_000000_gate_0000000000000001-0000000000000001.txt",
        "0000000000000001-0000000000000001.xml", "_raw.xml", ".gz", ".xml.gz",
        ".sluice-probe-gate"}) {
    CAPTURE(other);
    CHECK_FALSE(parse_object_key(other));
  }
}

TEST_CASE("c2_prefixes_that_could_leave_their_place_are_refused") {
  for (const char* bad : {"/", "/abs/", "../", "a/../b/", "a/./b", "a//b/", "..", ".", "a/..",
                          "a\nb/", "a\\b", "\x7f", "\xff/", "\xc0\xaf/", "a/\xe2\x82"}) {
    CAPTURE(bad);
    CHECK_FALSE(validate_key_prefix(bad));
  }
  for (const char* good : {"", "xml-events/", "a/b/c/", "a", "..a/", "a../b", "größe/", "a b/"}) {
    CAPTURE(good);
    CHECK(validate_key_prefix(good));
  }
  CHECK_FALSE(validate_key_prefix(std::string(513, 'a')));
}

TEST_CASE("c2_instances_that_could_leave_their_place_are_refused") {
  for (const char* bad : {"", ".", "..", "a/b", "-x", ".x", "a b", "ä", "a\n"}) {
    CAPTURE(bad);
    CHECK_FALSE(validate_instance(bad));
  }
  CHECK(validate_instance("gate-1.example_x"));
  CHECK_FALSE(validate_instance(std::string(65, 'a')));
}

}  // namespace
}  // namespace sluice
