// What `sluice replay` can be given, told apart by names alone.
#pragma once

#include <cstdint>
#include <string>

#include "common/base/ids.h"
#include "common/platform/filesystem.h"

namespace sluice {

struct ReplaySource {
  enum class Kind : std::uint8_t {
    set_aside,  // a segment in the spool's quarantine: `id`
    raw,        // rejected pieces as they were stored: `path`, with `reasons`
    events,     // a file of XML documents: `path`
    refused,    // nothing that can be replayed, for the reason `why`
  };
  Kind kind = Kind::refused;
  std::string name;  // as it was given
  SegmentId id = {};
  Path path = {};
  Path reasons = {};
  std::string why = {};
};

// `given` is "<num>-<uid>" or a path, absolute and without links as `spool_dir` is. Pure.
ReplaySource replay_source_of(const std::string& given, const Path& spool_dir);

}  // namespace sluice
