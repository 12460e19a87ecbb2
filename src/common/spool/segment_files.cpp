#include "common/spool/segment_files.h"

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>

#include "common/base/buffer.h"
#include "common/spool/digest_builder.h"
#include "common/spool/segment_reader.h"
#include "common/spool/twin_file.h"

namespace sluice {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

// A list of rejects: a million of them with a reason of 1 KiB, twice.
constexpr std::uint64_t kTwinFileBytesMax = 2 * kGiB;
constexpr std::size_t kAnswerBytesMax = 4096;
constexpr std::uint64_t kWhyBytesMax = 64 * kKiB;

std::string dump(const ordered_json& value) {
  return value.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

Path with_suffix(const Path& directory, const SegmentId& id, std::string_view suffix) {
  return directory / ("seg-" + to_string(id) + std::string(suffix));
}

Status ignore_missing(Status status) {
  return !status && status.error().code == ENOENT ? Status() : status;
}

// Writes a file that was not there before, durable but for its directory entry.
Status write_new_file(Filesystem& filesystem, const Path& path, std::string_view content) {
  Path temporary = path;
  temporary += ".tmp";
  // A file of its own each time: after a failed sync the old one's pages cannot be trusted.
  if (Status status = ignore_missing(filesystem.unlink(temporary)); !status) {
    return status;
  }
  auto file = filesystem.open(temporary, OpenMode::create_new);
  if (!file) {
    return file.error();
  }
  Status status = write_all(**file, as_bytes(content), 0);
  if (status) {
    status = (*file)->fdatasync();
  }
  if (status) {
    status = filesystem.rename(temporary, path);
  }
  if (!status) {
    (void)filesystem.unlink(temporary).ok();
  }
  return status;
}

Result<std::optional<std::string>> read_twin(Filesystem& filesystem, const Path& path,
                                             TwinKind kind, const SegmentId& id) {
  auto content = read_file(filesystem, path, kTwinFileBytesMax);
  if (!content) {
    const int code = content.error().code;
    if (code == ENOENT) {
      return std::optional<std::string>();
    }
    const bool never_will_be = code == EIO || code == EFBIG || code == EINVAL || code == ELOOP;
    return never_will_be ? rejected(content.error().message) : content.error();
  }
  auto payload = decode_twin(kind, id, *content);
  if (!payload) {
    return rejected(path.string() + " does not verify");
  }
  return payload;
}

std::string rejects_payload(const RejectList& list) {
  std::string lines;
  for (const Reject& reject : list.rejects) {
    ordered_json line;
    line["index"] = reject.index;
    line["reason"] = reject.reason;
    line["line"] = reject.line;
    line["column"] = reject.column;
    lines += dump(line) + '\n';
  }
  return lines;
}

std::int64_t nanoseconds(WallTime time) { return time.time_since_epoch().count(); }

std::string seal_payload(const SegmentSeal& seal) {
  ordered_json out;
  out["records"] = seal.summary.records;
  out["events"] = seal.summary.events;
  out["malformed"] = seal.summary.malformed;
  out["run_bytes"] = seal.summary.run_bytes;
  out["end"] = seal.summary.end;
  out["first_received_ns"] = nanoseconds(seal.summary.first_received_at);
  out["last_received_ns"] = nanoseconds(seal.summary.last_received_at);
  out["digest"] = to_hex(seal.summary.digest);
  out["kept"] = json::array();
  for (const KeptRange& range : seal.kept) {
    out["kept"].push_back({range.begin, range.end});
  }
  return dump(out) + '\n';
}

Digest digest_from_hex(const std::string& hex) {
  Digest digest{};
  for (std::size_t i = 0; i < digest.size(); ++i) {
    digest[i] = static_cast<std::uint8_t>(std::stoul(hex.substr(2 * i, 2), nullptr, 16));
  }
  return digest;
}

SegmentSeal seal_from_json(const json& in) {
  SegmentSeal seal;
  seal.side_file = true;
  in.at("records").get_to(seal.summary.records);
  in.at("events").get_to(seal.summary.events);
  in.at("malformed").get_to(seal.summary.malformed);
  in.at("run_bytes").get_to(seal.summary.run_bytes);
  in.at("end").get_to(seal.summary.end);
  const auto time = [&](const char* key) {
    return WallTime(std::chrono::nanoseconds(in.at(key).get<std::int64_t>()));
  };
  seal.summary.first_received_at = time("first_received_ns");
  seal.summary.last_received_at = time("last_received_ns");
  seal.summary.digest = digest_from_hex(in.at("digest").get<std::string>());
  for (const auto& range : in.at("kept")) {
    seal.kept.push_back({range.at(0).get<std::uint64_t>(), range.at(1).get<std::uint64_t>()});
  }
  return seal;
}

// Links `from` into the quarantine under the same name; what is missing or there is no error.
Status link_aside(StreamDirectory& stream, const Path& from) {
  Status status = stream.filesystem().link(from, stream.quarantine() / from.filename());
  return !status && status.error().code == EEXIST ? Status() : ignore_missing(status);
}

// Unlinks `path` such that the directory is dirty even where an earlier attempt's sync failed.
Status unlink_again(Filesystem& filesystem, const Path& path) {
  Status status = filesystem.unlink(path);
  if (status || status.error().code != ENOENT) {
    return status;
  }
  auto placeholder = filesystem.open(path, OpenMode::create_new);
  return placeholder ? filesystem.unlink(path) : placeholder.status();
}

}  // namespace

Status write_twin(StreamDirectory& stream, const Path& path, const std::string& content) {
  return stream.with_reserve([&] {
    return stream.entries().make(
        [&] { return write_new_file(stream.filesystem(), path, content); });
  });
}

std::string RejectList::hash() const {
  return rejects.empty() ? "0" : to_hex(digest_of(as_bytes(rejects_payload(*this))));
}

Path segment_path(const Path& directory, const SegmentId& id) {
  return with_suffix(directory, id, ".wal");
}
Path seal_path(const Path& directory, const SegmentId& id) {
  return with_suffix(directory, id, ".seal");
}
Path rejects_path(const Path& directory, const SegmentId& id) {
  return with_suffix(directory, id, ".rejects");
}

Status write_side_seal(StreamDirectory& stream, const SegmentId& id, const SegmentSeal& seal) {
  return write_twin(stream, seal_path(stream.path(), id),
                    encode_twin(TwinKind::seal, id, seal_payload(seal)));
}

Result<std::optional<SegmentSeal>> read_side_seal(Filesystem& filesystem, const Path& directory,
                                                  const SegmentId& id) {
  const Path path = seal_path(directory, id);
  auto payload = read_twin(filesystem, path, TwinKind::seal, id);
  if (!payload) {
    return payload.error();
  }
  if (!*payload) {
    return std::optional<SegmentSeal>();
  }
  try {
    return std::optional(seal_from_json(json::parse(**payload)));
  } catch (const std::exception& problem) {
    return rejected(path.string() + ": " + problem.what());
  }
}

Status write_rejects(StreamDirectory& stream, const SegmentId& id, const RejectList& list) {
  return write_twin(stream, rejects_path(stream.path(), id),
                    encode_twin(TwinKind::rejects, id, rejects_payload(list)));
}

Result<std::optional<RejectList>> read_rejects(Filesystem& filesystem, const Path& directory,
                                               const SegmentId& id) {
  const Path path = rejects_path(directory, id);
  auto payload = read_twin(filesystem, path, TwinKind::rejects, id);
  if (!payload) {
    return payload.error();
  }
  if (!*payload) {
    return std::optional<RejectList>();
  }
  RejectList list;
  std::string_view left = **payload;
  try {
    while (!left.empty()) {
      const std::size_t line_bytes = std::min(left.find('\n'), left.size());
      const json line = json::parse(left.substr(0, line_bytes));
      list.rejects.push_back(
          {line.at("index").get<std::uint32_t>(), line.at("reason").get<std::string>(),
           line.at("line").get<std::uint32_t>(), line.at("column").get<std::uint32_t>()});
      left.remove_prefix(std::min(line_bytes + 1, left.size()));
    }
  } catch (const json::exception& problem) {
    return rejected(path.string() + ": " + problem.what());
  }
  return std::optional(std::move(list));
}

Status unlink_segment(StreamDirectory& stream, const SegmentId& id) {
  Filesystem& filesystem = stream.filesystem();
  const Path wal = segment_path(stream.path(), id);
  const Status status = stream.entries().make([&] { return unlink_again(filesystem, wal); });
  if (!status) {
    // Where only the sync failed it may come back, and is gone through once more: no harm.
    const auto there = filesystem.info(wal);
    return !there && there.error().code == ENOENT ? Status() : status;
  }
  // Only after the .wal is gone for good: without its .seal it would count as never sealed. What
  // stays behind is an orphan, and goes with the next listing.
  for (const Path& path : {seal_path(stream.path(), id), rejects_path(stream.path(), id)}) {
    (void)filesystem.unlink(path).ok();
  }
  return {};
}

Status set_segment_aside(StreamDirectory& stream, const SegmentId& id, const SetAside& why) {
  Filesystem& filesystem = stream.filesystem();
  const Path wal = segment_path(stream.path(), id);
  ordered_json note;
  note["segment"] = to_string(id);
  note["stream"] = to_string(stream.stream());
  note["reason"] = why.reason;
  note["answer"] = why.answer.substr(0, kAnswerBytesMax);
  note["events"] = why.events;
  note["malformed"] = why.malformed;
  note["delivered"] = why.delivered;
  if (!why.delivered) {
    note["replay"] = replay_command_of(id);
  }
  note["at_ns"] = nanoseconds(stream.clock().wall_now());
  if (auto there = filesystem.info(wal); !there && there.error().code == ENOENT) {
    return unlink_segment(stream, id);  // an earlier attempt came as far as this
  }
  Status status = stream.quarantine_entries().make([&]() -> Status {
    for (const Path& from : {wal, seal_path(stream.path(), id), rejects_path(stream.path(), id)}) {
      // Made again after a failed directory sync: the old entry may exist in memory only.
      (void)filesystem.unlink(stream.quarantine() / from.filename()).ok();
      if (Status linked = link_aside(stream, from); !linked) {
        return linked;
      }
    }
    return stream.with_reserve([&] {
      return write_new_file(filesystem, with_suffix(stream.quarantine(), id, ".why.json"),
                            dump(note) + '\n');
    });
  });
  return status ? unlink_segment(stream, id) : status;
}

std::string replay_command_of(const SegmentId& id) { return "sluice replay " + to_string(id); }

Status return_segment(StreamDirectory& stream, const SegmentId& id) {
  Filesystem& filesystem = stream.filesystem();
  const Path wal = segment_path(stream.quarantine(), id);
  const auto link_back = [&](const Path& from) -> Status {
    const Path to = stream.path() / from.filename();
    if (auto there = filesystem.info(from); !there) {
      return ignore_missing(there.status());  // this much of it came back before
    }
    // Made again: an entry of an earlier attempt may exist in memory only.
    Status status = ignore_missing(filesystem.unlink(to));
    return status ? filesystem.link(from, to) : status;
  };
  if (auto there = filesystem.info(wal); there) {
    Status status = stream.entries().make([&] {
      Status linked = link_back(seal_path(stream.quarantine(), id));
      return linked ? link_back(rejects_path(stream.quarantine(), id)) : linked;
    });
    if (status) {
      status = stream.entries().make([&] { return link_back(wal); });
    }
    if (!status) {
      return status;
    }
  } else if (there.error().code != ENOENT) {
    return there.status();
  }
  Status status = stream.quarantine_entries().make([&] { return unlink_again(filesystem, wal); });
  for (const Path& path :
       {seal_path(stream.quarantine(), id), rejects_path(stream.quarantine(), id),
        with_suffix(stream.quarantine(), id, ".why.json")}) {
    if (status) {
      status = ignore_missing(filesystem.unlink(path));
    }
  }
  return status;
}

SetAside read_set_aside(Filesystem& filesystem, const Path& quarantine, const SegmentId& id) {
  SetAside why{.reason = "no .why.json says why"};
  const auto content =
      read_file(filesystem, with_suffix(quarantine, id, ".why.json"), kWhyBytesMax);
  const auto in = content ? json::parse(*content, nullptr, false) : json();
  if (in.is_object() && in.contains("reason") && in["reason"].is_string()) {
    why.reason = in["reason"].get<std::string>();
  }
  why.delivered = in.is_object() && in.contains("delivered") && in["delivered"] == true;
  return why;
}

Status quarantine_range(StreamDirectory& stream, const SegmentId& id, const File& file,
                        const QuarantinedRange& what) {
  char offset[24];
  std::snprintf(offset, sizeof offset, "%016llx",
                static_cast<unsigned long long>(what.range.begin));
  const Path path =
      with_suffix(stream.quarantine(), id, "." + std::string(what.label) + "-" + offset);
  if (stream.filesystem().info(path)) {
    return {};
  }
  std::string bytes(std::min(what.range.end - what.range.begin, what.bytes_max), '\0');
  auto got = read_tolerantly(file, std::as_writable_bytes(std::span(bytes)), what.range.begin);
  if (!got) {
    return got.error();
  }
  bytes.resize(*got);
  ordered_json note;
  note["segment"] = to_string(id);
  note["stream"] = to_string(stream.stream());
  note["reason"] = what.reason;
  note["begin"] = what.range.begin;
  note["end"] = what.range.end;
  note["bytes_kept"] = bytes.size();
  note["at_ns"] = nanoseconds(stream.clock().wall_now());
  Path why = path;
  why += ".why.json";
  return stream.quarantine_entries().make([&]() -> Status {
    return stream.with_reserve([&] {
      Status status = write_new_file(stream.filesystem(), why, dump(note) + '\n');
      return status ? write_new_file(stream.filesystem(), path, bytes) : status;
    });
  });
}

}  // namespace sluice
