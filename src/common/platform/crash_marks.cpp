#include "common/platform/crash_marks.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <ctime>
#include <memory>
#include <optional>
#include <span>

#include "common/base/crc32c.h"

namespace sluice {
namespace {

struct FatalSignal {
  int number;
  std::string_view name;  // "SIG" and the four letters of a line
};
constexpr std::array<FatalSignal, 5> kFatalSignals{{{SIGSEGV, "SIGSEGV"},
                                                    {SIGBUS, "SIGBUS"},
                                                    {SIGFPE, "SIGFPE"},
                                                    {SIGILL, "SIGILL"},
                                                    {SIGABRT, "SIGABRT"}}};
constexpr std::size_t kNameBegin = 3;
constexpr std::size_t kNameBytes = 4;

// Fields of a line, and the blank behind each.
constexpr std::size_t kNumAt = kNameBytes + 1;
constexpr std::size_t kUidAt = kNumAt + 17;
constexpr std::size_t kSecondsAt = kUidAt + 17;
constexpr std::size_t kSecondsBytes = 12;
constexpr std::size_t kCrcAt = kSecondsAt + kSecondsBytes + 1;
constexpr std::size_t kCrcBytes = 8;
static_assert(kCrcAt + kCrcBytes + 1 == kCrashMarkBytes);

// Room for lines: on a full disk a crash leaves its mark as well.
constexpr off_t kRoomBytes = 4096;
constexpr std::size_t kSignalStackBytes = 64 * kKiB;

// What the thread works on. Written by it, read by the handler on the same thread.
struct Work {
  std::atomic<bool> active{false};
  std::atomic<std::uint64_t> num{0};
  std::atomic<std::uint64_t> uid{0};
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);
// Of the initial-exec model it needs no allocation, whoever looks at it first.
[[gnu::tls_model("initial-exec")]] thread_local constinit Work work;

std::atomic<int> marks_fd{-1};
std::atomic_flag marked;
// What each signal did before us. Written before the handler is installed.
std::array<struct sigaction, kFatalSignals.size()> before;

class SignalStack {
 public:
  SignalStack() {
    stack_t there{};
    if (::sigaltstack(nullptr, &there) != 0 || (there.ss_flags & SS_DISABLE) == 0) {
      return;  // a sanitizer gave it one
    }
    memory_ = std::make_unique_for_overwrite<std::byte[]>(kSignalStackBytes);
    stack_t ours{};
    ours.ss_sp = memory_.get();
    ours.ss_size = kSignalStackBytes;
    (void)::sigaltstack(&ours, nullptr);
  }
  ~SignalStack() {
    if (memory_ != nullptr) {
      stack_t none{};
      none.ss_flags = SS_DISABLE;
      (void)::sigaltstack(&none, nullptr);
    }
  }
  SignalStack(const SignalStack&) = delete;
  SignalStack& operator=(const SignalStack&) = delete;

 private:
  std::unique_ptr<std::byte[]> memory_;
};

// Digits of `value`, as many as `into` has room for.
void write_number(std::uint64_t value, std::uint64_t base, std::span<char> into) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  for (std::size_t i = into.size(); i > 0; --i) {
    into[i - 1] = kDigits[value % base];
    value /= base;
  }
}

std::optional<std::uint64_t> read_number(std::string_view digits) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size()) {
    return std::nullopt;
  }
  return value;
}

// Strict: what is not written so by encode_crash_mark is none.
std::optional<CrashMark> decode_crash_mark(std::string_view line) {
  const auto known = std::find_if(kFatalSignals.begin(), kFatalSignals.end(), [&](const auto& one) {
    return line.starts_with(one.name.substr(kNameBegin));
  });
  const auto segment = parse_segment_id(line.substr(kNumAt, kSegmentIdBytes));
  const auto seconds = read_number(line.substr(kSecondsAt, kSecondsBytes));
  if (known == kFatalSignals.end() || !segment || !seconds) {
    return std::nullopt;
  }
  const CrashMark mark{known->number, *segment, *seconds};
  const auto same = encode_crash_mark(mark);
  return std::equal(same.begin(), same.end(), line.begin(), line.end()) ? std::optional(mark)
                                                                        : std::nullopt;
}

// Of the processor, or by this process: abort(), raise(). What another one sends, an operator or a
// watchdog, says nothing of the segment.
bool is_our_own(const siginfo_t& info) { return info.si_code > 0 || info.si_pid == ::getpid(); }

// Only what is async-signal-safe.
void on_fatal_signal(int signal, siginfo_t* info, void* /*context*/) {
  std::atomic_signal_fence(std::memory_order_acquire);
  // Threads that work on one segment may all meet what is wrong with it: it is one death.
  if (work.active.load(std::memory_order_relaxed) && is_our_own(*info) && !marked.test_and_set()) {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    const auto line = encode_crash_mark(
        {signal,
         {work.num.load(std::memory_order_relaxed), work.uid.load(std::memory_order_relaxed)},
         static_cast<std::uint64_t>(now.tv_sec)});
    // What is not written is not counted; there is nothing else to be done here.
    [[maybe_unused]] const auto written =
        ::write(marks_fd.load(std::memory_order_relaxed), line.data(), line.size());
  }
  for (std::size_t i = 0; i < kFatalSignals.size(); ++i) {
    if (kFatalSignals[i].number == signal) {
      ::sigaction(signal, &before[i], nullptr);
    }
  }
  // Held back until we return, and taken where the first one was: a core dump shows that place, and
  // with the same information a sanitizer tells the same address.
  if (::syscall(SYS_rt_tgsigqueueinfo, ::getpid(), ::syscall(SYS_gettid), signal, info) != 0) {
    ::raise(signal);
  }
}

}  // namespace

WorkingOn::WorkingOn(const SegmentId& segment) {
  thread_local const SignalStack stack;
  work.num.store(segment.num, std::memory_order_relaxed);
  work.uid.store(segment.uid, std::memory_order_relaxed);
  std::atomic_signal_fence(std::memory_order_release);
  work.active.store(true, std::memory_order_relaxed);
}

WorkingOn::~WorkingOn() { work.active.store(false, std::memory_order_relaxed); }

Status mark_crashes_in(const Path& path) {
  const auto failed = [&](const char* call) {
    const int code = errno;
    return system_error(std::string(call) + " " + path.string(), code);
  };
  const int fd = ::open(path.c_str(),
                        O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
  if (fd < 0) {
    return failed("open");
  }
  struct stat st {};
  if (::fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
    ::close(fd);
    return fatal(path.string() + " is no regular file: remove it", EINVAL);
  }
  (void)::fallocate(fd, FALLOC_FL_KEEP_SIZE, st.st_size, kRoomBytes);
  (void)encode_crash_mark({});  // a checksum's first call sets it up
  const int old = marks_fd.exchange(fd);
  if (old >= 0) {
    ::close(old);
    return {};  // the handler is there
  }
  struct sigaction action {};
  action.sa_sigaction = on_fatal_signal;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  for (std::size_t i = 0; i < kFatalSignals.size(); ++i) {
    ::sigaction(kFatalSignals[i].number, nullptr, &before[i]);
    if (::sigaction(kFatalSignals[i].number, &action, nullptr) != 0) {
      return failed("sigaction for");
    }
  }
  return {};
}

std::array<char, kCrashMarkBytes> encode_crash_mark(const CrashMark& mark) {
  std::array<char, kCrashMarkBytes> line;
  line.fill(' ');
  const std::span<char> all(line);
  for (const FatalSignal& known : kFatalSignals) {
    if (known.number == mark.signal) {
      std::copy(known.name.begin() + kNameBegin, known.name.end(), line.begin());
    }
  }
  write_number(mark.segment.num, 16, all.subspan(kNumAt, 16));
  line[kUidAt - 1] = '-';
  write_number(mark.segment.uid, 16, all.subspan(kUidAt, 16));
  write_number(mark.at_s, 10, all.subspan(kSecondsAt, kSecondsBytes));
  write_number(crc32c(std::as_bytes(all.first(kCrcAt))), 16, all.subspan(kCrcAt, kCrcBytes));
  line.back() = '\n';
  return line;
}

std::vector<CrashMark> decode_crash_marks(std::string_view text) {
  std::vector<CrashMark> marks;
  while (!text.empty()) {
    const std::size_t line_end = std::min(text.find('\n'), text.size());
    // A line that was torn stands before the one that was appended to it.
    if (line_end < text.size() && line_end + 1 >= kCrashMarkBytes) {
      const std::size_t begin = line_end + 1 - kCrashMarkBytes;
      if (const auto mark = decode_crash_mark(text.substr(begin, kCrashMarkBytes))) {
        marks.push_back(*mark);
      }
    }
    text.remove_prefix(std::min(line_end + 1, text.size()));
  }
  return marks;
}

std::string_view fatal_signal_name(int signal) {
  for (const FatalSignal& known : kFatalSignals) {
    if (known.number == signal) {
      return known.name;
    }
  }
  return "a signal";
}

}  // namespace sluice
