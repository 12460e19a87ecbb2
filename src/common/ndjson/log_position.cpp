#include "common/ndjson/log_position.h"

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <vector>

#include "common/base/buffer.h"
#include "common/base/crc32c.h"
#include "common/spool/segment_files.h"
#include "common/spool/twin_file.h"

namespace sluice {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::uint64_t kPositionBytesMax = 64 * kKiB;
constexpr SegmentId kNoSegment{};

struct Candidate {
  Path path;
  FileInfo info;
};

// The path of `position` first; files that end before its offset are none.
Result<std::vector<Candidate>> candidates(Filesystem& filesystem, const LogPosition& position) {
  std::vector<Candidate> found;
  auto entries = filesystem.list(position.path.parent_path());
  if (!entries) {
    return entries.error().code == ENOENT ? Result<std::vector<Candidate>>(std::move(found))
                                          : entries.error();
  }
  const std::string name = position.path.filename().string();
  for (DirectoryEntry& entry : *entries) {
    if (entry.info.type == FileType::regular && entry.name.starts_with(name) &&
        entry.info.bytes >= position.offset) {
      found.push_back({position.path.parent_path() / entry.name, entry.info});
    }
  }
  std::stable_partition(found.begin(), found.end(), [&](const Candidate& candidate) {
    return candidate.path == position.path;
  });
  return found;
}

}  // namespace

Path log_position_path(const Path& stream_directory) { return stream_directory / "LOGFILE"; }

std::string encode_log_position(const LogPosition& position) {
  ordered_json out;
  out["sequence"] = position.sequence;
  out["offset"] = position.offset;
  out["inode"] = position.inode;
  out["tail_bytes"] = position.tail.bytes;
  out["tail_crc32c"] = position.tail.crc32c;
  // Behind the JSON: the bytes of a path need not be UTF-8.
  return encode_twin(TwinKind::log_position, kNoSegment,
                     out.dump() + '\n' + position.path.string());
}

Result<LogPosition> decode_log_position(std::string_view content) {
  const auto payload = decode_twin(TwinKind::log_position, kNoSegment, content);
  if (!payload || payload->empty()) {
    return rejected("the position in the log file does not verify");
  }
  try {
    const std::size_t line = std::min(payload->find('\n'), payload->size() - 1);
    const json in = json::parse(payload->substr(0, line));
    LogPosition position;
    in.at("sequence").get_to(position.sequence);
    in.at("offset").get_to(position.offset);
    in.at("inode").get_to(position.inode);
    in.at("tail_bytes").get_to(position.tail.bytes);
    in.at("tail_crc32c").get_to(position.tail.crc32c);
    position.path = payload->substr(line + 1);
    return position;
  } catch (const std::exception& problem) {
    return rejected(std::string("the position in the log file: ") + problem.what());
  }
}

Result<std::optional<LogPosition>> read_log_position(Filesystem& filesystem,
                                                     const Path& stream_directory) {
  const Path path = log_position_path(stream_directory);
  auto file = filesystem.open(path, OpenMode::read);
  if (!file) {
    return file.error().code == ENOENT ? Result<std::optional<LogPosition>>(std::nullopt)
                                       : file.error();
  }
  auto info = (*file)->info();
  if (!info) {
    return info.error();
  }
  if (info->type != FileType::regular || info->bytes > kPositionBytesMax) {
    return rejected(path.string() + ": no file of ours");
  }
  // Each copy on its own: a bad sector in one of them leaves the other.
  std::string content(info->bytes, '\0');
  const auto bytes = std::as_writable_bytes(std::span(content));
  Status failure;
  for (const std::size_t begin : {std::size_t{0}, content.size() / 2}) {
    const std::size_t end = begin == 0 ? content.size() / 2 : content.size();
    if (auto read = (*file)->pread(bytes.subspan(begin, end - begin), begin); !read) {
      failure = read.error();
    }
  }
  auto position = decode_log_position(content);
  if (position) {
    return std::optional(std::move(*position));
  }
  return failure ? rejected(path.string() + ": " + position.error().message) : failure.error();
}

Status write_log_position(StreamDirectory& stream, const LogPosition& position) {
  return write_twin(stream, log_position_path(stream.path()), encode_log_position(position));
}

Result<LogTail> read_log_tail(const File& file, std::uint64_t offset) {
  LogTail tail{.bytes = std::min(offset, LogTail::kBytesMax)};
  std::string bytes(tail.bytes, '\0');
  auto read = file.pread(std::as_writable_bytes(std::span(bytes)), offset - tail.bytes);
  if (!read) {
    return read.error();
  }
  if (*read < tail.bytes) {
    return system_error("the log file was cut short", ENODATA);
  }
  tail.crc32c = crc32c(as_bytes(bytes));
  return tail;
}

Result<std::optional<FoundLog>> find_log(Filesystem& filesystem, const LogPosition& position) {
  auto found = candidates(filesystem, position);
  if (!found) {
    return found.error();
  }
  for (const bool by_inode : {true, false}) {
    for (const Candidate& candidate : *found) {
      if (!by_inode && position.tail.bytes == 0 && candidate.path != position.path) {
        continue;  // any file would do; at the path, the lines in it say whether it is ours
      }
      if (by_inode && candidate.info.inode != position.inode) {
        continue;
      }
      auto file = filesystem.open(candidate.path, OpenMode::read_write);
      if (!file) {
        const int code = file.error().code;
        if (!by_inode && (code == EACCES || code == EPERM || code == ENOENT)) {
          continue;  // somebody else's
        }
        return file.error();
      }
      auto tail = read_log_tail(**file, position.offset);
      if (!tail && tail.error().code != ENODATA) {
        return tail.error();
      }
      if (tail && *tail == position.tail) {
        return std::optional(FoundLog{candidate.path, std::move(*file)});
      }
    }
  }
  return std::optional<FoundLog>();
}

}  // namespace sluice
