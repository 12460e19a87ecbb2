// ReplayFile: the pieces of a file that is replayed. Rejected pieces as they were stored
// (`_raw.xml` with its `_raw.reasons.jsonl`), or any file of XML documents, one after the other.
// They are framed anew, by today's limits and code: what was cut too early or refused then may be
// an event now. The same bytes give the same pieces. Reads through a window; blocks.
// Thread-compatible.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "commands/replay_source.h"
#include "common/base/result.h"
#include "common/platform/filesystem.h"
#include "common/spool/whole_segment.h"
#include "common/xml/xml_framer.h"

namespace sluice {

class ReplayFile {
 public:
  struct Options {
    std::uint64_t event_bytes_max = kMiB;  // MAX_MESSAGE_SIZE
    WallTime now{};                        // received at, of a file that does not say
  };
  // Rejected, with a sentence: not there, incomplete, or not what its name says.
  static Result<std::unique_ptr<ReplayFile>> open(Filesystem& filesystem,
                                                  const ReplaySource& source,
                                                  const Options& options);

  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  // Lower-case hex, of its bytes; of rejected pieces with those of their reasons behind: they name
  // connection and time, so that equal bytes from two places are two sources.
  [[nodiscard]] const std::string& sha256() const { return sha256_; }
  // Of the segment that it becomes: a function of sha256().
  [[nodiscard]] std::uint64_t uid() const { return uid_; }

  // The segment that `sluice spool export` made it of, if it did.
  [[nodiscard]] const std::optional<SegmentId>& exported_from() const { return exported_from_; }

  struct Counts {
    std::uint64_t events = 0;
    std::uint64_t malformed = 0;
    std::uint64_t piece_bytes = 0;
    [[nodiscard]] std::uint64_t pieces() const { return events + malformed; }
  };
  [[nodiscard]] Result<Counts> count() const;

  using Visit = std::function<Status(const WholeSegment::Entry&)>;
  // Calls `visit` for each piece, in order; its bytes are valid during the call. Ends at an error.
  Status for_each_piece(const Visit& visit) const;

 private:
  struct Part {  // a piece as it lies in the file
    std::uint64_t begin = 0;
    std::uint64_t length = 0;
    CutReason reason = CutReason::none;  // none: it was not Frame that rejected it
    bool continues = false;
    WallTime received_at{};
    PeerAddress peer;
  };
  // Parts that go on in each other: of one connection, and framed as one.
  using Run = std::vector<Part>;

  ReplayFile(std::unique_ptr<File> file, std::uint64_t bytes)
      : file_(std::move(file)), bytes_(bytes) {}
  Status read_reasons(Filesystem& filesystem, const Path& path, std::string& content);
  Status add_reason(std::string_view line);
  Status hash(std::string_view reasons);
  Status frame(const Run& run, const Visit& visit) const;
  Status as_it_was(const Run& run, const Visit& visit) const;
  [[nodiscard]] Result<bool> holds_event(const Run& run) const;

  std::unique_ptr<File> file_;
  std::uint64_t bytes_;
  FramerLimits limits_;
  std::vector<Run> runs_;
  std::vector<std::size_t> open_runs_;  // the next piece of their connection goes on in them
  std::uint64_t described_bytes_ = 0;   // by the reasons read so far
  std::optional<SegmentId> exported_from_;
  std::string sha256_;
  std::uint64_t uid_ = 0;
};

}  // namespace sluice
