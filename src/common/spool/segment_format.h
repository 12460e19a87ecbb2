// The spool's segment files as structures; docs/spool_format.md has the grammar.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/base/units.h"

namespace sluice {

using SpoolUuid = std::array<std::uint8_t, 16>;
using SpoolSecret = std::array<std::uint8_t, 16>;
using Digest = std::array<std::uint8_t, 32>;  // SHA-256

struct SegmentHeader {
  SpoolUuid uuid{};
  SpoolSecret secret{};  // seeds every CRC, with the uid and the file offset
  SegmentId id;
  Stream stream = Stream::xml;
  WallTime created_at{};
  std::string settings;  // JSON of SegmentSettings
};

// What a segment holds.
struct SegmentSummary {
  std::uint64_t records = 0;  // DATA records
  std::uint64_t events = 0;
  std::uint64_t malformed = 0;   // pieces that are malformed runs
  std::uint64_t run_bytes = 0;   // bytes as received, in all records
  std::uint64_t end = 0;         // file offset behind the last record that counts
  WallTime first_received_at{};  // of the first record: names the objects
  WallTime last_received_at{};
  Digest digest{};  // over the headers of the DATA records, in order

  [[nodiscard]] std::uint64_t pieces() const { return events + malformed; }
};

// File offsets [begin, end) that hold whole records that verify.
struct KeptRange {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

struct SegmentSeal {
  SegmentSummary summary;
  std::vector<KeptRange> kept;  // ascending; one range where nothing is damaged
  bool side_file = false;       // sealed by a .seal beside it, not by a SEAL record in it
};

// The pieces of a segment that were rejected, once that is decided (.rejects).
struct Reject {
  std::uint32_t index = 0;  // of the piece in its segment
  std::string reason;
  std::uint32_t line = 0;
  std::uint32_t column = 0;
};
struct RejectList {
  std::vector<Reject> rejects;  // ascending by index
  // Lower-case hex SHA-256 of the list as written; what the objects' metadata carry. "0" if empty.
  [[nodiscard]] std::string hash() const;
};

std::string to_hex(const Digest& digest);

}  // namespace sluice
