#include "common/spool/crash_counts.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include "common/base/buffer.h"
#include "common/platform/crash_marks.h"
#include "common/spool/segment_files.h"

namespace sluice {
namespace {

// Over ten thousand marks; there are three at most of a segment, and few segments have one.
constexpr std::uint64_t kFileBytesMax = kMiB;
constexpr std::uint32_t kMarksKept = 100;  // of a segment

bool is_there(Filesystem& filesystem, const Path& spool_dir, const SegmentId& segment) {
  constexpr std::array<Stream, 2> kStreams = {Stream::xml, Stream::logs};
  return std::any_of(kStreams.begin(), kStreams.end(), [&](Stream stream) {
    return filesystem.info(segment_path(spool_dir / std::string(to_string(stream)), segment)).ok();
  });
}

}  // namespace

Path crashes_path(const Path& spool_dir) { return spool_dir / "CRASHES"; }

CrashCounts::CrashCounts(Filesystem& filesystem, const Path& spool_dir,
                         std::vector<std::string>& warnings) {
  const Path path = crashes_path(spool_dir);
  const auto content = read_file(filesystem, path, kFileBytesMax);
  if (!content && content.error().code == ENOENT) {
    return;
  }
  if (!content) {
    warnings.push_back(content.error().message +
                       ": which segments crashed the process before is forgotten");
  }
  std::string kept;
  for (const CrashMark& mark : content ? decode_crash_marks(*content) : std::vector<CrashMark>()) {
    SegmentCrashes& crashes = crashes_[mark.segment];
    if (crashes.times >= kMarksKept || !is_there(filesystem, spool_dir, mark.segment)) {
      continue;
    }
    crashes = {crashes.times + 1, mark.signal};
    const auto line = encode_crash_mark(mark);
    kept.append(line.data(), line.size());
  }
  if (content && *content == kept) {
    return;
  }
  if (const Status written = replace_file(filesystem, path, kept); !written) {
    warnings.push_back(written.error().message + ": crashes are counted from what it said before");
  }
}

Status forget_crashes(Filesystem& filesystem, const Path& spool_dir, const SegmentId& segment) {
  const Path path = crashes_path(spool_dir);
  const auto content = read_file(filesystem, path, kFileBytesMax);
  auto file = content ? filesystem.open(path, OpenMode::read_write) : content.error();
  if (!file) {
    return file.error();
  }
  const std::string name = to_string(segment);
  const std::string blanks(name.size(), ' ');
  Status status;
  for (std::size_t at = content->find(name); at != std::string::npos && status;
       at = content->find(name, at + name.size())) {
    status = write_all(**file, as_bytes(blanks), at);
  }
  return status;
}

SegmentCrashes CrashCounts::of(const SegmentId& segment) const {
  const auto found = crashes_.find(segment);
  return found == crashes_.end() ? SegmentCrashes() : found->second;
}

}  // namespace sluice
