#include "commands/replay_notes.h"

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>

#include "common/base/buffer.h"
#include "common/base/utc_text.h"

namespace sluice {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::uint64_t kNotesBytesMax = kGiB;

Path notes_path(const Path& spool_dir) { return spool_dir / "replays.jsonl"; }

std::string line_of(const ReplayNote& note) {
  ordered_json out;
  out["at"] = utc_milliseconds(note.at);
  out["at_ns"] = note.at.time_since_epoch().count();
  out["source"] = note.source;
  out["sha256"] = note.sha256;
  out["segment"] = to_string(note.segment);
  out["exported_from"] = note.exported_from ? to_string(*note.exported_from) : "";
  out["events"] = note.events;
  out["malformed"] = note.malformed;
  out["reason"] = note.reason;
  return out.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + '\n';
}

}  // namespace

Status append_replay_note(Filesystem& filesystem, const Path& spool_dir, const ReplayNote& note) {
  auto file = filesystem.open(notes_path(spool_dir), OpenMode::create_or_open);
  if (!file) {
    return file.status();
  }
  auto info = (*file)->info();
  if (!info) {
    return info.status();
  }
  // On a line of its own, also behind a torn one: an empty line is no note.
  Status status = write_all(**file, as_bytes('\n' + line_of(note)), info->bytes);
  if (status) {
    status = (*file)->fdatasync();
  }
  return status ? filesystem.sync_directory(spool_dir) : status;
}

Result<std::map<std::uint64_t, ReplayNote>> read_replay_notes(Filesystem& filesystem,
                                                              const Path& spool_dir) {
  std::map<std::uint64_t, ReplayNote> notes;
  auto content = read_file(filesystem, notes_path(spool_dir), kNotesBytesMax);
  if (!content && content.error().code == ENOENT) {
    return notes;
  }
  if (!content) {
    return content.error();
  }
  for (std::string_view left = *content; !left.empty();) {
    const std::size_t line_bytes = std::min(left.find('\n'), left.size());
    const json in = json::parse(left.substr(0, line_bytes), nullptr, false);
    left.remove_prefix(std::min(line_bytes + 1, left.size()));
    try {
      ReplayNote note;
      const auto id = parse_segment_id(in.at("segment").get<std::string>());
      in.at("sha256").get_to(note.sha256);
      if (!id || note.sha256.empty()) {
        continue;
      }
      note.segment = *id;
      in.at("source").get_to(note.source);
      note.exported_from = parse_segment_id(in.value("exported_from", ""));
      note.at = WallTime(std::chrono::nanoseconds(in.at("at_ns").get<std::int64_t>()));
      notes[id->uid] = note;
    } catch (const json::exception&) {
      continue;
    }
  }
  return notes;
}

}  // namespace sluice
