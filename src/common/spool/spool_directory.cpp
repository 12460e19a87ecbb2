#include "common/spool/spool_directory.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "common/spool/ledger.h"
#include "common/spool/segment_catalog.h"
#include "common/spool/segment_files.h"
#include "common/spool/segment_reader.h"
#include "common/spool/spool_format_file.h"

namespace sluice {
namespace {

constexpr std::uint64_t kFormatBytesMax = 64 * kKiB;
constexpr std::array<Stream, 2> kStreams = {Stream::xml, Stream::logs};

SpoolRefusal unusable(Error error) { return {SpoolRefusal::Kind::unusable, std::move(error)}; }

std::array<std::uint8_t, 16> random_bytes(const Random64& random) {
  std::array<std::uint8_t, 16> bytes;
  for (std::size_t i = 0; i < bytes.size(); i += 8) {
    const std::uint64_t bits = random();
    std::memcpy(bytes.data() + i, &bits, 8);
  }
  return bytes;
}

// Eight characters that are easy to read in a key.
std::string random_instance(const Random64& random) {
  constexpr std::string_view kLetters = "abcdefghijkmnpqrstuvwxyz23456789";
  std::string name;
  for (std::uint64_t bits = random(); name.size() < 8; bits /= kLetters.size()) {
    name += kLetters[bits % kLetters.size()];
  }
  return name;
}

}  // namespace

SpoolDirectory::SpoolDirectory(Filesystem& filesystem, const Clock& clock, Options options)
    : filesystem_(filesystem),
      clock_(clock),
      options_(std::move(options)),
      reserve_(filesystem, options_.path / "RESERVE"),
      quarantine_entries_(std::make_shared<DirectorySync>(filesystem, quarantine())) {}

std::variant<std::unique_ptr<SpoolDirectory>, SpoolRefusal> SpoolDirectory::open(
    Filesystem& filesystem, const Clock& clock, Options options) {
  std::unique_ptr<SpoolDirectory> spool(new SpoolDirectory(filesystem, clock, std::move(options)));
  if (auto refusal = spool->take()) {
    return *std::move(refusal);
  }
  return spool;
}

std::optional<SpoolRefusal> SpoolDirectory::take() {
  if (Status status = filesystem_.create_directories(options_.path); !status) {
    return unusable(status.error());
  }
  if (auto refusal = check_owner()) {
    return refusal;
  }
  auto lock = filesystem_.lock(options_.path / "LOCK", std::to_string(options_.pid) + "\n");
  if (!lock && lock.error().code == EWOULDBLOCK) {
    auto holder = read_file(filesystem_, options_.path / "LOCK", 32);
    std::string who = holder ? *holder : "?";
    who.erase(std::remove(who.begin(), who.end(), '\n'), who.end());
    return SpoolRefusal{SpoolRefusal::Kind::locked,
                        fatal("spool " + options_.path.string() + " is held by process " + who +
                              ": stop that one, or give this one a SPOOL_DIR of its own")};
  }
  if (!lock) {
    return unusable(lock.error());
  }
  lock_ = std::move(*lock);
  for (auto step : {&SpoolDirectory::read_segments, &SpoolDirectory::read_or_make_format}) {
    if (auto refusal = (this->*step)()) {
      return refusal;
    }
  }
  if (Status status = filesystem_.create_directories(quarantine()); !status) {
    return unusable(status.error());
  }
  crashes_ = CrashCounts(filesystem_, options_.path, warnings_);
  reserve_.fill();
  return std::nullopt;
}

std::optional<SpoolRefusal> SpoolDirectory::check_owner() {
  auto info = filesystem_.info(options_.path);
  if (!info) {
    return unusable(info.error());
  }
  const std::string path = options_.path.string();
  if (info->type != FileType::directory) {
    return unusable(fatal("SPOOL_DIR " + path + " is not a directory", ENOTDIR));
  }
  if (info->owner != options_.owner) {
    return SpoolRefusal{SpoolRefusal::Kind::unsafe,
                        fatal("spool " + path + " belongs to user " + std::to_string(info->owner) +
                              ", we run as " + std::to_string(options_.owner) + ": chown it")};
  }
  if ((info->mode & 0007U) != 0) {
    return SpoolRefusal{SpoolRefusal::Kind::unsafe,
                        fatal("spool " + path + " is open to everybody: chmod 700 it")};
  }
  if ((info->mode & 0070U) != 0) {
    warnings_.push_back("spool " + path + " is open to its group: chmod 700 it");
  }
  return std::nullopt;
}

void SpoolDirectory::note_segment(const SegmentId& id) { num_max_ = std::max(num_max_, id.num); }

// Numbers, the newest header, and whether all that is there is for our destination.
std::optional<SpoolRefusal> SpoolDirectory::read_segments() {
  for (const Stream stream : kStreams) {
    const Path directory = options_.path / std::string(to_string(stream));
    auto listing = list_segments(filesystem_, directory);
    if (!listing && listing.error().code == ENOENT) {
      continue;
    }
    if (!listing) {
      return unusable(listing.error());
    }
    for (const auto& segment : listing->segments) {
      note_segment(segment.id);
      if (segment.bytes == 0) {
        continue;
      }
      auto file = filesystem_.open(segment_path(directory, segment.id), OpenMode::read);
      if (!file) {
        return unusable(file.error());
      }
      auto header = read_segment_header(**file);
      if (!header && header.error().code == EPROTO) {
        return SpoolRefusal{SpoolRefusal::Kind::newer_version, header.error()};
      }
      if (!header) {
        continue;  // recovery deals with it
      }
      newest_header_ = *header;
      if (segment.bytes <= kRecordsBegin) {
        continue;  // prepared and never used
      }
      empty_at_start_ = false;
      auto settings = segment_settings_from_json(header->settings);
      if (!settings) {
        return SpoolRefusal{SpoolRefusal::Kind::newer_version, settings.error()};
      }
      if (settings->destination != options_.destination) {
        return SpoolRefusal{
            SpoolRefusal::Kind::other_destination,
            fatal("spool " + options_.path.string() + " holds events for " + settings->destination +
                  ", not for " + options_.destination +
                  ": run with the old destination until it is empty, or use another SPOOL_DIR")};
      }
    }
    for (const SegmentId& id : listing->orphans) {
      note_segment(id);
    }
  }
  if (auto entries = filesystem_.list(quarantine())) {
    for (const DirectoryEntry& entry : *entries) {
      const std::string stem = entry.name.substr(0, entry.name.find('.'));
      if (const auto id = segment_id_of(stem, "")) {
        note_segment(*id);
      }
    }
  }
  num_max_ = std::max(num_max_, highest_segment_in_ledger(filesystem_, options_.path));
  return std::nullopt;
}

std::optional<SpoolRefusal> SpoolDirectory::read_or_make_format() {
  const std::array<Path, 2> paths = {options_.path / "FORMAT", options_.path / "FORMAT.bak"};
  std::optional<SpoolFormat> found;
  std::array<bool, 2> good{};
  for (std::size_t i = 0; i < paths.size(); ++i) {
    auto content = read_file(filesystem_, paths[i], kFormatBytesMax);
    if (!content) {
      continue;
    }
    auto format = decode_spool_format(*content);
    if (!format && format.error().code == EPROTO) {
      return SpoolRefusal{SpoolRefusal::Kind::newer_version, format.error()};
    }
    good[i] = format.ok();
    if (format && !found) {
      found = *format;
    }
  }
  if (!found && newest_header_) {
    found = SpoolFormat{newest_header_->uuid, newest_header_->secret, ""};
    if (auto settings = segment_settings_from_json(newest_header_->settings)) {
      found->instance = settings->instance;
    }
    warnings_.push_back("FORMAT and FORMAT.bak were lost: rebuilt from the newest segment");
  }
  if (!found) {
    found = SpoolFormat{random_bytes(options_.random), random_bytes(options_.random),
                        random_instance(options_.random)};
  }
  format_ = *found;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    if (good[i]) {
      continue;
    }
    if (Status status = replace_file(filesystem_, paths[i], encode_spool_format(format_));
        !status) {
      return unusable(status.error());
    }
  }
  return std::nullopt;
}

Result<std::unique_ptr<StreamDirectory>> SpoolDirectory::stream(Stream stream,
                                                                const SegmentSettings& settings) {
  StreamDirectory::Options options;
  options.stream = stream;
  options.directory = options_.path / std::string(to_string(stream));
  options.quarantine = quarantine();
  options.uuid = format_.uuid;
  options.secret = format_.secret;
  options.settings = to_json(settings);
  options.next_num = num_max_ + 1;
  options.random = options_.random;
  options.reserve = &reserve_;
  options.quarantine_entries = quarantine_entries_;
  if (Status status = filesystem_.create_directories(options.directory); !status) {
    return status.error();
  }
  if (Status status = filesystem_.sync_directory(options_.path); !status) {
    return status.error();
  }
  // Where the settings do not fit a segment's header, say so now and not at the first event.
  SegmentHeader header;
  header.settings = options.settings;
  if (auto encoded = encode_segment_header(header); !encoded) {
    return encoded.error();
  }
  return std::make_unique<StreamDirectory>(filesystem_, clock_, std::move(options));
}

Result<SpoolDirectory::Usage> SpoolDirectory::measure() const {
  Usage usage;
  std::uint64_t elsewhere = 0;
  const std::array<std::pair<Path, std::uint64_t*>, 4> folders{
      {{options_.path, &elsewhere},
       {quarantine(), &usage.quarantine_bytes},
       {options_.path / std::string(to_string(Stream::xml)), &usage.xml_bytes},
       {options_.path / std::string(to_string(Stream::logs)), &usage.logs_bytes}}};
  for (const auto& [directory, bytes] : folders) {
    auto entries = filesystem_.list(directory);
    if (!entries && entries.error().code == ENOENT) {
      continue;
    }
    if (!entries) {
      return entries.error();
    }
    for (const DirectoryEntry& entry : *entries) {
      usage.bytes += entry.info.bytes_allocated;
      *bytes += entry.info.bytes_allocated;
    }
  }
  return usage;
}

}  // namespace sluice
