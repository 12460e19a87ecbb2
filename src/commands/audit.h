// `sluice audit`: the ledger against a listing of the store, and what lies in the spool against
// both. Finds what is lost, changed, doubled, incomplete or set aside. Changes nothing, and may run
// beside a server.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/config.h"
#include "common/s3/object_store.h"
#include "common/spool/ledger.h"

namespace sluice {

struct AuditFinding {
  enum class Kind : std::uint8_t {
    lost,        // in the ledger, not in the store
    changed,     // both have it, with another size or ETag
    doubled,     // a second object of the same segment and kind, under another key
    incomplete,  // a segment's objects hold fewer or more events than it had
    set_aside,   // a segment in the spool's quarantine, of which the store holds nothing
  };
  Kind kind = Kind::lost;
  std::string subject;  // a key, or a segment
  std::string detail;   // what differs, without a stop
  bool operator==(const AuditFinding&) const = default;
};
std::string_view to_string(AuditFinding::Kind kind);

struct AuditReport {
  std::uint64_t objects = 0;         // of the ledger that the store has, unchanged
  std::uint64_t bytes = 0;           // of those
  std::uint64_t events = 0;          // in those, rejected ones included
  std::uint64_t unlisted = 0;        // of this instance, in the store without a line of the ledger
  std::uint64_t elsewhere = 0;       // of the ledger, under prefixes that were not listed
  std::uint64_t waiting = 0;         // segments in the spool that the ledger does not know
  std::uint64_t waiting_pieces = 0;  // events and malformed runs in those that are sealed
  std::vector<AuditFinding> findings;  // by key or segment
};

// What the spool holds of a segment.
struct SpooledSegment {
  SegmentId id;
  std::uint64_t pieces = 0;  // 0 where it is not sealed
  bool set_aside = false;    // it lies in the spool's quarantine
};

// Pure: all lines, then the listed objects and the spool's segments in any order, then the report.
// Memory grows with the number of objects in the ledger, about 300 bytes each.
class Auditor {
 public:
  // `instance`: whose objects in the listing are ours. `prefixes`: what is listed.
  Auditor(std::string instance, std::vector<std::string> prefixes)
      : instance_(std::move(instance)), prefixes_(std::move(prefixes)) {}

  void add_line(const LedgerEntry& entry);
  void add_object(const ListedObject& object);
  void add_segment(const SpooledSegment& segment) { spooled_.push_back(segment); }
  [[nodiscard]] AuditReport report() const;

 private:
  struct Known {
    SegmentId segment;
    std::string object;
    std::uint64_t bytes = 0;
    std::string etag;
    std::uint64_t events = 0;
    bool found = false;
    std::string difference = {};
  };
  [[nodiscard]] bool is_listed(std::string_view key) const;
  struct SegmentSum {
    std::uint64_t pieces = 0;  // that it had
    std::uint64_t events = 0;  // in its objects
    bool has_data = false;     // a line of its data or raw object is there
    bool is_raw = false;       // a line says that the segment itself is there, with all its events
  };

  std::string instance_;
  std::vector<std::string> prefixes_;
  std::map<std::string, Known> known_;  // by key
  std::map<SegmentId, SegmentSum> segments_;
  // Every key that the ledger or the store has of a segment's "data", "raw" and so on.
  std::map<std::pair<SegmentId, std::string>, std::vector<std::string>> keys_;
  std::vector<SpooledSegment> spooled_;
  std::uint64_t unlisted_ = 0;
};

// Prints a line a finding and a sum. The exit code: 0 all there, 1 something is wrong.
int audit_command(const Config& config);

}  // namespace sluice
