#include "commands/replay_source.h"

#include <optional>

namespace sluice {
namespace {

constexpr std::string_view kRaw = "_raw.xml";
constexpr std::string_view kReasons = "_raw.reasons.jsonl";

// The id in "seg-<num>-<uid>.<anything>".
std::optional<SegmentId> id_in(std::string_view name) {
  constexpr std::string_view kPrefix = "seg-";
  if (!name.starts_with(kPrefix)) {
    return std::nullopt;
  }
  name.remove_prefix(kPrefix.size());
  return parse_segment_id(name.substr(0, name.find('.')));
}

// What is named like a file of the spool, wherever it lies.
ReplaySource spool_file(ReplaySource source, std::string_view name, const Path& spool_dir) {
  const bool is_set_aside = source.path.parent_path() == spool_dir / "quarantine";
  const std::string_view suffix = name.substr(std::min(name.find('.'), name.size()));
  if (suffix.starts_with(".damage-") || suffix.starts_with(".torn-")) {
    source.why =
        "bytes that did not verify, and no events: save what can be read of them to another file "
        "by hand, and replay that one";
  } else if (!is_set_aside) {
    source.why =
        "a segment is replayed from " + (spool_dir / "quarantine").string() +
        " alone: what is in a folder of a stream is uploaded anyway, and of one of another "
        "spool replay what sluice spool --dir FOLDER export writes";
  } else {
    source.kind = ReplaySource::Kind::set_aside;
  }
  return source;
}

}  // namespace

ReplaySource replay_source_of(const std::string& given, const Path& spool_dir) {
  ReplaySource source{.kind = ReplaySource::Kind::refused, .name = given};
  if (const auto id = parse_segment_id(given)) {
    source.kind = ReplaySource::Kind::set_aside;
    source.id = *id;
    return source;
  }
  source.path = Path(given).lexically_normal();
  const std::string name = source.path.filename().string();
  if (const auto id = id_in(name)) {
    source.id = *id;
    return spool_file(std::move(source), name, spool_dir);
  }
  const Path folder = source.path.parent_path();
  if (folder == spool_dir || folder == spool_dir / "xml" || folder == spool_dir / "logs") {
    source.why = "a file of the spool itself";
    return source;
  }
  if (name.ends_with("_raw.log")) {
    source.why = "rejected log lines: only XML events can be replayed";
    return source;
  }
  source.kind = ReplaySource::Kind::events;
  for (const std::string_view suffix : {kRaw, kReasons}) {
    if (name.ends_with(suffix)) {
      const std::string stem = name.substr(0, name.size() - suffix.size());
      source.kind = ReplaySource::Kind::raw;
      source.path = folder / (stem + std::string(kRaw));
      source.reasons = folder / (stem + std::string(kReasons));
      break;
    }
  }
  return source;
}

}  // namespace sluice
