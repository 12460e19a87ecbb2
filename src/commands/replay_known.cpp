#include "commands/replay_known.h"

#include <algorithm>
#include <cerrno>
#include <functional>

#include "common/base/utc_text.h"
#include "common/spool/ledger.h"
#include "common/spool/segment_catalog.h"
#include "common/spool/segment_files.h"

namespace sluice {

Result<KnownSegments> KnownSegments::read(Filesystem& filesystem, const Path& spool_dir) {
  KnownSegments known(filesystem, spool_dir);
  const auto list = [&](const Path& folder, const std::function<void(const SegmentId&)>& visit) {
    auto listing = list_segments(filesystem, folder);
    if (!listing) {
      return listing.error().code == ENOENT ? Status() : listing.status();
    }
    for (const auto& segment : listing->segments) {
      visit(segment.id);
    }
    return Status();
  };
  Status status =
      list(spool_dir / "quarantine", [&](const SegmentId& id) { known.set_aside_.push_back(id); });
  for (const Stream stream : {Stream::xml, Stream::logs}) {
    if (status) {
      status = list(spool_dir / std::string(to_string(stream)),
                    [&](const SegmentId& id) { known.add(id, stream); });
    }
  }
  if (!status) {
    return status.error();
  }
  auto notes = read_replay_notes(filesystem, spool_dir);
  if (!notes) {
    return notes.error();
  }
  known.notes_ = *std::move(notes);
  return known;
}

Result<std::optional<KnownSegments::Place>> KnownSegments::find(std::uint64_t uid) {
  const auto note = notes_.find(uid);
  const bool is_noted = note != notes_.end();
  const auto aside = std::find_if(set_aside_.begin(), set_aside_.end(),
                                  [uid](const SegmentId& id) { return id.uid == uid; });
  const auto spooled = spooled_.find(uid);
  if (aside != set_aside_.end() && spooled == spooled_.end()) {
    return std::optional(
        Place{*aside,
              "it is segment " + to_string(*aside) +
                  ", which was set aside; once the cause is gone: " + replay_command_of(*aside),
              is_noted, true});
  }
  if (spooled != spooled_.end()) {
    return std::optional(Place{spooled->second.segment,
                               "it is segment " + to_string(spooled->second.segment) +
                                   " of the spool, which the server delivers",
                               is_noted});
  }
  auto delivered = find_in_ledger(uid);
  if (!delivered || *delivered) {
    if (delivered) {
      (*delivered)->is_noted = is_noted;
    }
    return delivered;
  }
  if (is_noted) {
    return std::optional(Place{
        note->second.segment,
        "on " + utc_seconds(note->second.at) + ", as segment " + to_string(note->second.segment),
        true});
  }
  return std::optional<Place>();
}

std::optional<std::string> KnownSegments::replayed_export(const SegmentId& segment) const {
  const auto found = std::find_if(notes_.begin(), notes_.end(), [&](const auto& entry) {
    return entry.second.exported_from == segment;
  });
  return found == notes_.end() ? std::nullopt : std::optional(found->second.source);
}

std::optional<Stream> KnownSegments::spooled(const SegmentId& segment) const {
  const auto found = spooled_.find(segment.uid);
  return found != spooled_.end() && found->second.segment == segment
             ? std::optional(found->second.stream)
             : std::nullopt;
}

Result<std::optional<KnownSegments::Place>> KnownSegments::find_in_ledger(std::uint64_t uid) {
  if (!delivered_) {
    std::vector<std::uint64_t> uids;
    Status status = read_ledger(filesystem_, spool_dir_, [&](const LedgerEntry& entry) {
      uids.push_back(entry.segment.uid);
      return true;
    });
    if (!status) {
      return status.error();
    }
    std::sort(uids.begin(), uids.end());
    delivered_ = std::move(uids);
  }
  if (!std::binary_search(delivered_->begin(), delivered_->end(), uid)) {
    return std::optional<Place>();
  }
  // Its keys are read only now: there are few of them, and many of others.
  std::optional<Place> found;
  Status status = read_ledger(filesystem_, spool_dir_, [&](const LedgerEntry& entry) {
    if (entry.segment.uid == uid && (!found || entry.object == "data")) {
      found = Place{entry.segment, "stored as " + entry.key, false};
    }
    return true;
  });
  return status ? Result<std::optional<Place>>(found) : status.error();
}

}  // namespace sluice
