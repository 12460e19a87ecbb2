// Crash marks: which segment a thread was working on when a fatal signal ended the process, for the
// next start to read. A SEGV, BUS, FPE, ILL or ABRT that the process brought upon itself appends
// one line to a file that was opened ahead, and then does what it would have done without us: exit
// status, core dump and a sanitizer's report stay as they are. No signal of another process leaves
// a mark, nor does SIGKILL. docs/spool_format.md has the line's grammar.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/base/units.h"
#include "common/platform/filesystem.h"

namespace sluice {

// While it lives, the calling thread works on `segment`: one at a time. Costs a few stores; a
// thread's first one also gives it a stack to take signals on, so that an overflow of its own
// leaves a mark too.
class WorkingOn {
 public:
  explicit WorkingOn(const SegmentId& segment);
  ~WorkingOn();
  WorkingOn(const WorkingOn&) = delete;
  WorkingOn& operator=(const WorkingOn&) = delete;
};

// From now on crashes of this process are marked in `path`, which is made where missing. Fatal:
// it cannot be written, or is no regular file.
Status mark_crashes_in(const Path& path);

struct CrashMark {
  int signal = 0;
  SegmentId segment;
  std::uint64_t at_s = 0;  // since 1970-01-01 UTC
  bool operator==(const CrashMark&) const = default;
};

inline constexpr std::size_t kCrashMarkBytes = 61;
// "<signal> <num>-<uid> <seconds> <crc>\n". Async-signal-safe once it has run before.
std::array<char, kCrashMarkBytes> encode_crash_mark(const CrashMark& mark);
// The lines that verify, in order; all others are left out.
std::vector<CrashMark> decode_crash_marks(std::string_view text);

// "SIGSEGV"; "a signal" for one that is none of the five.
std::string_view fatal_signal_name(int signal);

}  // namespace sluice
