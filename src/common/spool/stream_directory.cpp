#include "common/spool/stream_directory.h"

#include "common/spool/segment_files.h"

namespace sluice {

StreamDirectory::StreamDirectory(Filesystem& filesystem, const Clock& clock, Options options)
    : writing_num(options.next_num),
      filesystem_(filesystem),
      clock_(clock),
      options_(std::move(options)),
      entries_(filesystem, options_.directory),
      next_num_(options_.next_num) {
  if (!options_.quarantine_entries) {
    options_.quarantine_entries = std::make_shared<DirectorySync>(filesystem, options_.quarantine);
  }
}

Status StreamDirectory::with_reserve(const std::function<Status()>& write) const {
  return options_.reserve != nullptr ? options_.reserve->spend(write) : write();
}

SegmentHeader StreamDirectory::header_of(const SegmentId& id) const {
  SegmentHeader header;
  header.uuid = options_.uuid;
  header.secret = options_.secret;
  header.id = id;
  header.stream = options_.stream;
  header.settings = options_.settings;
  return header;
}

Status StreamDirectory::create_files(std::vector<NewSegment>& made, std::size_t count,
                                     std::uint64_t bytes) {
  for (std::size_t i = 0; i < count; ++i) {
    SegmentHeader header = header_of({next_num_.fetch_add(1), options_.random()});
    header.created_at = clock_.wall_now();
    auto encoded = encode_segment_header(header);
    if (!encoded) {
      return encoded.error();
    }
    auto file = filesystem_.open(segment_path(options_.directory, header.id), OpenMode::create_new);
    if (!file) {
      return file.error();
    }
    made.push_back({header, std::move(*file)});
    File& segment = *made.back().file;
    // Only a head start: what does not fit now may fit when it is written.
    (void)segment.allocate(bytes).ok();
    if (Status status = write_all(segment, *encoded, 0); !status) {
      return status;
    }
    if (Status status = segment.fdatasync(); !status) {
      return status;
    }
  }
  return {};
}

Result<std::vector<StreamDirectory::NewSegment>> StreamDirectory::create_segments(
    std::size_t count, std::uint64_t bytes) {
  const auto epoch = entries_.epoch();
  std::vector<NewSegment> made;
  Status status = create_files(made, count, bytes);
  if (status) {
    status = entries_.sync(epoch);
  }
  if (!status) {
    for (const NewSegment& segment : made) {
      (void)filesystem_.unlink(segment_path(options_.directory, segment.header.id)).ok();
    }
    return status.error();
  }
  for (const NewSegment& segment : made) {
    std::uint64_t newest = newest_durable_.load();
    while (newest < segment.header.id.num &&
           !newest_durable_.compare_exchange_weak(newest, segment.header.id.num)) {
    }
  }
  return made;
}

void StreamDirectory::note_finished(std::uint64_t num, std::uint64_t pieces) {
  const std::scoped_lock lock(finished_mutex_);
  finished_[num] = pieces;
}

std::optional<std::uint64_t> StreamDirectory::take_finished(std::uint64_t num) {
  const std::scoped_lock lock(finished_mutex_);
  const auto found = finished_.find(num);
  if (found == finished_.end()) {
    return std::nullopt;
  }
  const std::uint64_t pieces = found->second;
  finished_.erase(found);
  return pieces;
}

}  // namespace sluice
