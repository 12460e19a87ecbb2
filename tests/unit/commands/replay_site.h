// What tests of `sluice replay` share: a spool on a disk in memory, servers that start, deliver and
// end, and calls of the command between them.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "commands/replay.h"
#include "common/spool/ledger.h"
#include "common/spool/segment_catalog.h"
#include "common/spool/segment_state.h"
#include "spool_rig.h"

namespace sluice {

inline const Path kQuarantine = "/spool/quarantine";
inline const Path kFolder = "/files";

// What outlives the processes: the disk and the store. A server runs only inside serve().
struct ReplaySite {
  ReplaySite() {
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
    world.filesystem.fail(
        {.op = FaultFilesystem::Op::sync, .times = 1, .code = EIO, .path_has = ".wal"});
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

inline std::vector<std::string> sorted(std::vector<std::string> events) {
  std::sort(events.begin(), events.end());
  return events;
}

// The only segment of the spool.
inline SegmentState only_segment(ReplaySite& site) {
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

}  // namespace sluice
