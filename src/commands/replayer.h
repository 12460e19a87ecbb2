// Replayer: one call of `sluice replay`, once it holds the spool. Sources in, a line for each out.
// Blocks; one thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "commands/replay.h"
#include "commands/replay_file.h"
#include "commands/replay_known.h"
#include "commands/replay_source.h"
#include "common/spool/spool_directory.h"

namespace sluice {

class Replayer {
 public:
  Replayer(const Config& config, const ReplayOptions& options, const ReplayOutside& outside,
           KnownSegments known)
      : config_(config), options_(options), outside_(outside), known_(std::move(known)) {}

  // None in a dry run.
  void use(std::unique_ptr<SpoolDirectory> spool) { spool_ = std::move(spool); }
  int run();

 private:
  void replay_source(const ReplaySource& source);
  // The sentence that is printed. Rejected or fatal: why not.
  Result<std::string> replay_segment(const SegmentId& id);
  Result<std::string> end_of_return(const SegmentId& id);
  Result<std::string> replay_file(const ReplaySource& source);
  // Whether the spool knows it already, where that is no refusal.
  Result<bool> look_up(const ReplayFile& file, const ReplaySource& source);
  Result<bool> refuse_export(const ReplayFile& file);
  Status refuse_without_room(const ReplayFile::Counts& counts) const;
  Result<SegmentSummary> write_segment(const ReplayFile& file, const SegmentId& id,
                                       const ReplaySource& source);
  void note(ReplayNote note);
  Result<StreamDirectory*> stream(Stream stream);
  [[nodiscard]] Path quarantine() const { return Path(config_.spool_dir) / "quarantine"; }

  const Config& config_;
  const ReplayOptions& options_;
  const ReplayOutside& outside_;
  KnownSegments known_;
  std::unique_ptr<SpoolDirectory> spool_;
  std::map<Stream, std::unique_ptr<StreamDirectory>> streams_;
  std::uint64_t segments_made_ = 0;
  std::set<std::pair<SegmentId, Path>> seen_;  // a pattern of a shell names both files of a pair
  std::uint64_t replayed_ = 0;
  std::uint64_t refused_ = 0;
};

}  // namespace sluice
