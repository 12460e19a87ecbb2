#include "simulation/sim_judge.h"

#include <charconv>
#include <nlohmann/json.hpp>

#include "common/base/buffer.h"
#include "common/s3/object_key.h"

namespace sluice::simulation {
namespace {

using Counts = std::map<std::string, std::uint64_t>;

struct Found {
  std::uint64_t data = 0;
  std::uint64_t raw = 0;
  std::uint64_t aside = 0;  // in a segment in the spool's quarantine
  std::uint64_t logged = 0;
  std::string keys;  // of the objects
};

// The documents whose markers are in these bytes, in the order in which they come.
std::vector<std::uint64_t> documents_in(std::string_view bytes) {
  constexpr std::string_view kMark = "doc-";
  std::vector<std::uint64_t> numbers;
  for (std::size_t at = bytes.find(kMark); at != std::string_view::npos;
       at = bytes.find(kMark, at + 1)) {
    const char* const begin = bytes.data() + at + kMark.size();
    std::uint64_t number = 0;
    const auto [end, failure] = std::from_chars(begin, bytes.data() + bytes.size(), number);
    if (failure == std::errc() && end != bytes.data() + bytes.size() && *end == ';') {
      numbers.push_back(number);
    }
  }
  return numbers;
}

class Judge {
 public:
  Judge(const RemoteStore& remote, const Documents& documents, const SegmentSettings& settings,
        bool uploads, Counts& counts)
      : remote_(remote),
        documents_(documents),
        settings_(settings),
        uploads_(uploads),
        counts_(counts),
        found_(documents.all().size()) {}

  void look_at_objects() {
    for (const auto& [key, object] : remote_.objects) {
      // Of a record that was torn, say.
      if (object.bytes.find('\0') != std::string::npos) {
        complain(key + " has bytes that nobody sent");
      }
      if (is_raw(key)) {
        look_at_raw(key, object.bytes);
      } else if (!key.ends_with(".jsonl") || key.starts_with(settings_.prefix)) {
        look_at_data(key, object.bytes);
      }
    }
  }

  void look_at_disk(FaultFilesystem& disk) {
    const auto aside = disk.list("/spool/quarantine");
    if (!aside) {
      return;
    }
    for (const DirectoryEntry& entry : *aside) {
      if (entry.name.ends_with(".why.json")) {
        judge_reason(*read_file(disk, Path("/spool/quarantine") / entry.name, kMiB));
      }
      if (!entry.name.ends_with(".wal")) {
        continue;
      }
      ++counts_["segments set aside"];
      auto bytes = read_file(disk, Path("/spool/quarantine") / entry.name, kGiB);
      for (const std::uint64_t number : documents_in(bytes ? *bytes : "")) {
        found_[number].aside += 1;
      }
    }
  }

  // Of one host: all files, also the rotated ones.
  void look_at_log(FaultFilesystem& disk) {
    const Path folder = "/logs";
    const auto entries = disk.list(folder);
    if (!entries) {
      return;
    }
    for (const DirectoryEntry& entry : *entries) {
      const std::string& name = entry.name;
      const auto bytes = read_file(disk, folder / name, kGiB);
      if (bytes && bytes->find('\0') != std::string::npos) {
        complain("/logs/" + name + " has bytes that nobody sent");
      }
      for (const std::uint64_t number : documents_in(bytes ? *bytes : "")) {
        found_[number].logged += 1;
        ++counts_["lines logged"];
      }
    }
  }

  // Keys are never given twice: another object under a segment's key is an earlier or a later one
  // of the same segment, which only a backup of a spool can bring about.
  void judge_reason(const std::string& note) {
    constexpr std::string_view kReason = "the store has another object under ";
    const auto why = nlohmann::json::parse(note, nullptr, false);
    const std::string reason = why.value("reason", "");
    if (!reason.starts_with(kReason)) {
      return;
    }
    const auto object = remote_.objects.find(reason.substr(kReason.size()));
    if (object == remote_.objects.end()) {
      return complain(note + ": there is no such object");
    }
    if (metadata_value(object->second.metadata, "segment") != why.value("segment", "")) {
      complain(note + ": two segments have one key");
    }
  }

  void judge_documents() {
    for (const SimDocument& document : documents_.all()) {
      const Found& found = found_[document.number];
      const std::uint64_t stored = found.data + found.raw;
      counts_["documents"] += 1;
      counts_["acked"] += document.acked ? 1 : 0;
      counts_["stored"] += stored > 0 ? 1 : 0;
      const std::string name = marker_of(document.number);
      if (stored > 1) {
        complain(name + " is stored " + std::to_string(stored) + " times:" + found.keys);
        counts_["doubled"] += 1;
      }
      judge_line(document, found);
      if (uploads_ && document.acked && !document.forgiven && stored == 0 && found.aside == 0) {
        complain(name + " was acknowledged and is lost");
        counts_["lost"] += 1;
      }
      if ((document.kind == DocumentKind::refused || document.kind == DocumentKind::junk) &&
          found.data > 0) {
        complain(name + " is not well-formed and among the events");
      }
      // Cut off where its connection ended, it is a malformed run.
      if (document.kind == DocumentKind::valid && document.acked && found.raw > 0) {
        complain(name + " is well-formed and among the rejected");
      }
    }
  }

  // Of logs, besides: in the log file once, and nowhere if it was refused.
  void judge_line(const SimDocument& document, const Found& found) {
    if (documents_.stream() != Stream::logs) {
      return;
    }
    const std::string name = marker_of(document.number);
    if (found.logged > 1) {
      complain(name + " is in the log file " + std::to_string(found.logged) + " times");
    }
    if (document.acked && !document.forgiven && found.logged == 0 && found.aside == 0) {
      complain(name + " was acknowledged and is not in the log file");
    }
    if (document.verdict != LogVerdict::received &&
        found.data + found.raw + found.logged + found.aside > 0) {
      complain(name + " was refused and is kept");
    }
  }

  // Numbers are given as documents are made, so those of one connection ascend.
  void judge_order() {
    for (const auto& [connection, segments] : order_) {
      std::uint64_t last = 0;
      for (const auto& [num, numbers] : segments) {
        for (const std::uint64_t number : numbers) {
          if (number < last) {
            complain(marker_of(number) + " stands behind " + marker_of(last));
          }
          last = number;
        }
      }
    }
  }

  std::vector<std::string> complaints;

 private:
  void complain(std::string what) { complaints.push_back(std::move(what)); }
  static bool is_raw(const std::string& key) {
    return key.ends_with("_raw.xml") || key.ends_with("_raw.log");
  }

  // Every document once, in the order of its connection, and its bytes as they were sent.
  void look_at_data(const std::string& key, const std::string& bytes) {
    counts_["data objects"] += 1;
    const std::vector<std::uint64_t> numbers = documents_in(bytes);
    for (const std::uint64_t number : numbers) {
      found_[number].data += 1;
      found_[number].keys += " " + key;
      const SimDocument& document = documents_.all()[number];
      if (settings_.format == OutputFormat::xml &&
          bytes.find(document.bytes.substr(document.root_begin)) == std::string::npos) {
        complain(marker_of(number) + " has other bytes in " + key);
      }
    }
    // An element that a cut-off document leaves behind may be an event of its own, without a mark.
    if (settings_.format == OutputFormat::json) {
      const auto array = nlohmann::json::parse(bytes, nullptr, false);
      if (!array.is_array() || array.size() < numbers.size()) {
        complain(key + " is no array of its events");
      }
    }
    note_order(key, numbers);
  }

  void look_at_raw(const std::string& key, const std::string& bytes) {
    counts_["raw objects"] += 1;
    const std::vector<std::uint64_t> numbers = documents_in(bytes);
    for (const std::uint64_t number : numbers) {
      found_[number].raw += 1;
      found_[number].keys += " " + key;
      const SimDocument& document = documents_.all()[number];
      if (document.kind != DocumentKind::junk && document.acked &&
          bytes.find(document.bytes) == std::string::npos) {
        complain(marker_of(number) + " has other bytes in " + key);
      }
    }
    note_order(key, numbers);
  }

  void note_order(const std::string& key, const std::vector<std::uint64_t>& numbers) {
    const auto parts = parse_object_key(key);
    if (!parts) {
      complain(key + " is no key of a segment");
      return;
    }
    for (const std::uint64_t number : numbers) {
      order_[{documents_.all()[number].connection, is_raw(key)}][parts->segment.num].push_back(
          number);
    }
  }

  const RemoteStore& remote_;
  const Documents& documents_;
  const SegmentSettings& settings_;
  const bool uploads_;
  Counts& counts_;
  std::vector<Found> found_;
  // By connection and kind of object: the documents by segment, as the objects have them.
  std::map<std::pair<std::uint64_t, bool>, std::map<std::uint64_t, std::vector<std::uint64_t>>>
      order_;
};

}  // namespace

std::vector<std::string> judge(const RemoteStore& remote,
                               const std::vector<FaultFilesystem*>& disks,
                               const Documents& documents, const SegmentSettings& settings,
                               bool uploads, std::map<std::string, std::uint64_t>& counts) {
  Judge judge(remote, documents, settings, uploads, counts);
  judge.look_at_objects();
  for (FaultFilesystem* disk : disks) {
    judge.look_at_disk(*disk);
    judge.look_at_log(*disk);
  }
  judge.judge_documents();
  judge.judge_order();
  judge.complaints.insert(judge.complaints.end(), documents.wrong_replies.begin(),
                          documents.wrong_replies.end());
  judge.complaints.insert(judge.complaints.end(), remote.violations.begin(),
                          remote.violations.end());
  return judge.complaints;
}

}  // namespace sluice::simulation
