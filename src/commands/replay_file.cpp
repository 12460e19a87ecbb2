#include "commands/replay_file.h"

#include <algorithm>
#include <cerrno>

#include "common/base/check.h"
#include "common/spool/digest_builder.h"
#include "common/spool/reason_line.h"

namespace sluice {
namespace {

constexpr std::size_t kReadBytes = kMiB;
constexpr std::uint64_t kReasonsBytesMax = kGiB;
// Changing it would make another segment of a source that was replayed before.
constexpr std::string_view kUidPurpose = "sluice replay 1\n";

Status read_exactly(const File& file, std::span<std::byte> into, std::uint64_t offset) {
  auto got = file.pread(into, offset);
  if (!got) {
    return got.status();
  }
  return *got == into.size() ? Status() : rejected("it became shorter while it was read");
}

Error not_xml() {
  Error error = rejected("its first bytes are no XML");
  error.code = EILSEQ;
  return error;
}

// Some bytes of a source, from a list of ranges: what the framer may ask for again.
class Window {
 public:
  explicit Window(const File& file) : file_(file) {}

  [[nodiscard]] std::uint64_t end() const { return begin_ + bytes_.size(); }
  [[nodiscard]] std::span<const std::byte> from(std::uint64_t position) const {
    return std::span(bytes_).subspan(position - begin_);
  }
  void keep_from(std::uint64_t position) {
    const std::size_t gone = position - begin_;
    bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(gone));
    begin_ = position;
  }
  Status append(std::uint64_t offset, std::size_t bytes) {
    const std::size_t before = bytes_.size();
    bytes_.resize(before + bytes);
    return read_exactly(file_, std::span(bytes_).subspan(before), offset);
  }

 private:
  const File& file_;
  std::uint64_t begin_ = 0;
  std::vector<std::byte> bytes_;
};

}  // namespace

Result<std::unique_ptr<ReplayFile>> ReplayFile::open(Filesystem& filesystem,
                                                     const ReplaySource& source,
                                                     const Options& options) {
  auto file = filesystem.open(source.path, OpenMode::read);
  if (!file) {
    return rejected(file.error().message);
  }
  auto info = (*file)->info();
  if (!info) {
    return rejected(info.error().message);
  }
  if (info->type != FileType::regular) {
    return rejected(source.path.string() + " is not a regular file");
  }
  std::unique_ptr<ReplayFile> made(new ReplayFile(std::move(*file), info->bytes));
  made->limits_.event_bytes_max = options.event_bytes_max;
  made->limits_.long_event_sample_bytes = 0;  // all of it: these bytes were kept on purpose
  std::string reasons;
  if (source.kind == ReplaySource::Kind::raw) {
    if (Status status = made->read_reasons(filesystem, source.reasons, reasons); !status) {
      return rejected(source.reasons.string() + ": " + status.error().message);
    }
  } else {
    made->runs_.push_back({{.begin = 0,
                            .length = info->bytes,
                            .reason = CutReason::none,
                            .continues = false,
                            .received_at = options.now,
                            .peer = {}}});
  }
  if (Status status = made->hash(reasons); !status) {
    return rejected(source.path.string() + ": " + status.error().message);
  }
  return made;
}

Status ReplayFile::read_reasons(Filesystem& filesystem, const Path& path, std::string& content) {
  auto read = read_file(filesystem, path, kReasonsBytesMax);
  if (!read) {
    return read.error().code == ENOENT
               ? rejected(
                     "it is not there: it belongs beside the _raw.xml, and says where each "
                     "piece begins and where it came from")
               : read.status();
  }
  content = *std::move(read);
  for (std::string_view left = content; !left.empty();) {
    const std::size_t line_bytes = std::min(left.find('\n'), left.size());
    if (Status status = add_reason(left.substr(0, line_bytes)); !status) {
      return status;
    }
    left.remove_prefix(std::min(line_bytes + 1, left.size()));
  }
  if (described_bytes_ != bytes_) {
    return rejected("it speaks of " + std::to_string(described_bytes_) +
                    " bytes, the _raw.xml has " + std::to_string(bytes_) +
                    ": one of the two is incomplete");
  }
  return {};
}

Status ReplayFile::add_reason(std::string_view line) {
  const auto read = reason_line_from_json(line);
  if (!read) {
    return read.status();
  }
  const Part part{.begin = read->offset,
                  .length = read->length,
                  .reason = cut_reason_of(read->reason),
                  .continues = read->continues,
                  .received_at = read->received_at,
                  .peer = read->peer};
  if (!exported_from_) {
    exported_from_ = read->segment;
  }
  if (part.begin != described_bytes_ || part.length > bytes_ - part.begin) {
    return rejected("a piece at offset " + std::to_string(part.begin) +
                    " that does not follow the one before, or ends behind the _raw.xml");
  }
  described_bytes_ += part.length;
  // Pieces of other connections may stand between.
  const auto open = std::find_if(open_runs_.begin(), open_runs_.end(), [&](std::size_t run) {
    return runs_[run].back().peer == part.peer;
  });
  if (open == open_runs_.end()) {
    runs_.push_back({part});
    if (part.continues) {
      open_runs_.push_back(runs_.size() - 1);
    }
    return {};
  }
  runs_[*open].push_back(part);
  if (!part.continues) {
    open_runs_.erase(open);
  }
  return {};
}

Status ReplayFile::hash(std::string_view reasons) {
  DigestBuilder content;
  std::vector<std::byte> bytes(std::min<std::uint64_t>(kReadBytes, bytes_));
  for (std::uint64_t at = 0; at < bytes_; at += bytes.size()) {
    bytes.resize(std::min<std::uint64_t>(kReadBytes, bytes_ - at));
    if (Status status = read_exactly(*file_, bytes, at); !status) {
      return status;
    }
    content.update(bytes);
  }
  content.update(as_bytes(reasons));
  sha256_ = to_hex(content.digest());
  DigestBuilder uid;
  uid.update(as_bytes(kUidPurpose));
  uid.update(as_bytes(sha256_));
  const Digest digest = uid.digest();
  for (std::size_t i = 0; i < sizeof uid_; ++i) {
    uid_ = uid_ << 8U | digest[i];
  }
  return {};
}

Result<ReplayFile::Counts> ReplayFile::count() const {
  Counts counts;
  Status status = for_each_piece([&](const WholeSegment::Entry& entry) -> Status {
    (entry.kind == PieceKind::event ? counts.events : counts.malformed) += 1;
    counts.piece_bytes += entry.bytes.size();
    return {};
  });
  return status ? Result<Counts>(counts) : status.error();
}

Status ReplayFile::for_each_piece(const Visit& visit) const {
  for (const Run& run : runs_) {
    // What is still no event keeps its pieces and their reasons.
    const bool was_cut = std::all_of(
        run.begin(), run.end(), [](const Part& part) { return part.reason != CutReason::none; });
    auto has_event = was_cut ? holds_event(run) : Result<bool>(true);
    if (!has_event) {
      return has_event.status();
    }
    if (Status status = *has_event ? frame(run, visit) : as_it_was(run, visit); !status) {
      return status;
    }
  }
  return {};
}

Result<bool> ReplayFile::holds_event(const Run& run) const {
  bool found = false;
  Status status = frame(run, [&](const WholeSegment::Entry& entry) -> Status {
    found = found || entry.kind == PieceKind::event;
    return {};
  });
  if (!status && status.error().code == EILSEQ) {
    return false;
  }
  return status ? Result<bool>(found) : status.error();
}

// As a connection of its own, which ends with the run.
Status ReplayFile::frame(const Run& run, const Visit& visit) const {
  XmlFramer framer(limits_);
  Window window(*file_);
  std::vector<Cut> cuts;
  const auto give = [&]() -> Status {
    for (const Cut& cut : cuts) {
      CHECK_THAT(!cut.refused);
      Status status = visit({.bytes = window.from(cut.begin).first(cut.length),
                             .kind = cut.kind,
                             .reason = cut.reason,
                             .continues = cut.continues,
                             .received_at = run.front().received_at,
                             .peer = run.front().peer});
      if (!status) {
        return status;
      }
    }
    cuts.clear();
    window.keep_from(framer.hold_from());
    return {};
  };
  const auto scan = [&] {
    while (framer.position() < window.end()) {
      framer.scan(window.from(framer.position()), cuts);
    }
  };
  for (const Part& part : run) {
    for (std::uint64_t at = 0; at < part.length; at += kReadBytes) {
      Status status =
          window.append(part.begin + at, std::min<std::uint64_t>(kReadBytes, part.length - at));
      if (!status) {
        return status;
      }
      scan();
      if (framer.refuses()) {
        return not_xml();
      }
      if (status = give(); !status) {
        return status;
      }
    }
  }
  while (!framer.finish(cuts)) {
    scan();
  }
  return framer.refuses() ? not_xml() : give();
}

Status ReplayFile::as_it_was(const Run& run, const Visit& visit) const {
  std::vector<std::byte> bytes;
  for (const Part& part : run) {
    bytes.resize(part.length);
    Status status = read_exactly(*file_, bytes, part.begin);
    if (status) {
      status = visit({.bytes = bytes,
                      .kind = PieceKind::malformed,
                      .reason = part.reason,
                      .continues = part.continues,
                      .received_at = part.received_at,
                      .peer = part.peer});
    }
    if (!status) {
      return status;
    }
  }
  return {};
}

}  // namespace sluice
