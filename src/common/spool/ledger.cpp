#include "common/spool/ledger.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <nlohmann/json.hpp>

#include "common/base/buffer.h"

namespace sluice {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::string_view kPrefix = "ledger-";
constexpr std::string_view kSuffix = ".jsonl";
constexpr std::uint64_t kGenerationBytesMax = kGiB;

std::optional<std::uint64_t> generation_of(std::string_view name) {
  if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) {
    return std::nullopt;
  }
  const std::string_view digits =
      name.substr(kPrefix.size(), name.size() - kPrefix.size() - kSuffix.size());
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size()) {
    return std::nullopt;
  }
  return value;
}

Path generation_path(const Path& directory, std::uint64_t generation) {
  return directory / (std::string(kPrefix) + std::to_string(generation) + std::string(kSuffix));
}

Result<std::map<std::uint64_t, FileInfo>> generations(Filesystem& filesystem,
                                                      const Path& directory) {
  auto entries = filesystem.list(directory);
  if (!entries) {
    return entries.error();
  }
  std::map<std::uint64_t, FileInfo> found;
  for (const DirectoryEntry& entry : *entries) {
    const auto generation = generation_of(entry.name);
    if (generation && entry.info.type == FileType::regular) {
      found[*generation] = entry.info;
    }
  }
  return found;
}

std::int64_t nanoseconds(WallTime time) { return time.time_since_epoch().count(); }
WallTime wall_time(const json& ns) {
  return WallTime(std::chrono::nanoseconds(ns.get<std::int64_t>()));
}

void for_each_line(std::string_view content, const std::function<bool(std::string_view)>& visit) {
  while (!content.empty()) {
    const std::size_t line = std::min(content.find('\n'), content.size());
    if (line > 0 && !visit(content.substr(0, line))) {
      return;
    }
    content.remove_prefix(std::min(line + 1, content.size()));
  }
}

}  // namespace

std::string to_json(const LedgerEntry& entry) {
  ordered_json out;
  out["key"] = entry.key;
  out["object"] = entry.object;
  out["stream"] = to_string(entry.stream);
  out["segment"] = to_string(entry.segment);
  out["bytes"] = entry.bytes;
  out["events"] = entry.events;
  out["sha256"] = entry.sha256;
  out["etag"] = entry.etag;
  out["digest"] = entry.digest;
  out["first_sequence"] = entry.first_sequence;
  out["last_sequence"] = entry.last_sequence;
  out["first_received_ns"] = nanoseconds(entry.first_received_at);
  out["confirmed_ns"] = nanoseconds(entry.confirmed_at);
  out["metadata"] = json::object();
  for (const auto& [name, value] : entry.metadata) {
    out["metadata"][name] = value;
  }
  return out.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

Result<LedgerEntry> ledger_entry_from_json(std::string_view line) {
  try {
    const ordered_json in = ordered_json::parse(line);
    LedgerEntry entry;
    in.at("key").get_to(entry.key);
    in.at("object").get_to(entry.object);
    entry.stream = in.at("stream") == "logs" ? Stream::logs : Stream::xml;
    const auto id = parse_segment_id(in.at("segment").get<std::string>());
    if (!id) {
      return rejected("ledger: no segment id");
    }
    entry.segment = *id;
    in.at("bytes").get_to(entry.bytes);
    in.at("events").get_to(entry.events);
    in.at("sha256").get_to(entry.sha256);
    in.at("etag").get_to(entry.etag);
    in.at("digest").get_to(entry.digest);
    in.at("first_sequence").get_to(entry.first_sequence);
    in.at("last_sequence").get_to(entry.last_sequence);
    entry.first_received_at = wall_time(in.at("first_received_ns"));
    entry.confirmed_at = wall_time(in.at("confirmed_ns"));
    for (const auto& [name, value] : in.at("metadata").items()) {
      entry.metadata.emplace_back(name, value.get<std::string>());
    }
    return entry;
  } catch (const json::exception& problem) {
    return rejected(std::string("ledger: ") + problem.what());
  }
}

std::size_t Ledger::pending() const {
  const std::scoped_lock lock(mutex_);
  return pending_.size();
}

std::uint64_t Ledger::lost() const {
  const std::scoped_lock lock(mutex_);
  return lost_;
}

void Ledger::append(const LedgerEntry& entry) {
  std::string line = to_json(entry) + '\n';
  const std::scoped_lock lock(mutex_);
  pending_.push_back(std::move(line));
  if (pending_.size() > kPendingLinesMax) {
    pending_.pop_front();
    ++lost_;
  }
}

Status Ledger::flush() {
  const std::scoped_lock lock(mutex_);
  if (pending_.empty()) {
    return {};
  }
  if (!file_ || offset_ >= options_.generation_bytes) {
    if (Status status = open_generation(); !status) {
      return status;
    }
  }
  std::vector<std::span<const std::byte>> parts;
  std::uint64_t bytes = 0;
  for (const std::string& line : pending_) {
    parts.push_back(as_bytes(line));
    bytes += line.size();
  }
  Status status = write_all(*file_, parts, offset_);
  if (status) {
    status = file_->fdatasync();
  }
  if (!status) {
    file_.reset();  // its pages cannot be trusted any more: the next try begins a generation
    return status;
  }
  offset_ += bytes;
  pending_.clear();
  return {};
}

Status Ledger::open_generation() {
  file_.reset();
  auto found = generations(filesystem_, options_.directory);
  if (!found) {
    return found.error();
  }
  if (!found->empty()) {
    generation_ = std::max(generation_, found->rbegin()->first);
  }
  // Always a new file, so that a torn last line of the old one stays the last.
  ++generation_;
  auto file =
      filesystem_.open(generation_path(options_.directory, generation_), OpenMode::create_new);
  if (!file) {
    return file.error();
  }
  if (Status status = filesystem_.sync_directory(options_.directory); !status) {
    return status;
  }
  file_ = std::move(*file);
  offset_ = 0;
  drop_old_generations();
  return {};
}

void Ledger::drop_old_generations() {
  auto found = generations(filesystem_, options_.directory);
  if (!found) {
    return;
  }
  const WallTime oldest = clock_.wall_now() - options_.keep;
  for (const auto& [generation, info] : *found) {
    // An empty one is a start at which nothing was uploaded.
    if (generation < generation_ && (info.modified_at < oldest || info.bytes == 0)) {
      (void)filesystem_.unlink(generation_path(options_.directory, generation)).ok();
    }
  }
}

Status read_ledger(Filesystem& filesystem, const Path& directory,
                   const std::function<bool(const LedgerEntry&)>& visit) {
  auto found = generations(filesystem, directory);
  if (!found) {
    return found.error();
  }
  bool more = true;
  for (const auto& [generation, info] : *found) {
    auto content =
        read_file(filesystem, generation_path(directory, generation), kGenerationBytesMax);
    if (!content) {
      return content.error();
    }
    for_each_line(*content, [&](std::string_view line) {
      auto entry = ledger_entry_from_json(line);
      more = !entry || visit(*entry);
      return more;
    });
    if (!more) {
      break;
    }
  }
  return {};
}

std::uint64_t highest_segment_in_ledger(Filesystem& filesystem, const Path& directory) {
  constexpr std::string_view kField = "\"segment\":\"";
  constexpr int kGenerationsSearched = 16;
  auto found = generations(filesystem, directory);
  std::uint64_t highest = 0;
  int looked_at = 0;
  for (auto it = found ? found->rbegin() : std::map<std::uint64_t, FileInfo>::reverse_iterator();
       found && it != found->rend() && looked_at < kGenerationsSearched; ++it) {
    auto content =
        read_file(filesystem, generation_path(directory, it->first), kGenerationBytesMax);
    looked_at += content && !content->empty() ? 1 : 0;
    for (std::size_t at = content ? content->find(kField) : std::string::npos;
         at != std::string::npos; at = content->find(kField, at + 1)) {
      const auto id =
          parse_segment_id(std::string_view(*content).substr(at + kField.size(), kSegmentIdBytes));
      highest = id ? std::max(highest, id->num) : highest;
    }
  }
  return highest;
}

}  // namespace sluice
