// Each crash is a real one, of a child.
#include "common/platform/crash_marks.h"

#include <doctest/doctest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <thread>

#include "common/platform/posix_filesystem.h"
#include "scratch_directory.h"

using namespace sluice;

namespace {

constexpr SegmentId kSegment{.num = 0x11, .uid = 0xABCDEF};

// In a child, whose crash is no failure of the test: the test's own handlers are not for it.
void become_a_process_that_crashes() {
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) {
    std::signal(signal, SIG_DFL);
  }
}

struct Fixture {
  // What a child that does `work` leaves in the file; it dies by `signal`, or of nothing with 0.
  std::vector<CrashMark> marks_of(int signal, const std::function<void()>& work) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      become_a_process_that_crashes();
      if (!mark_crashes_in(path)) {
        ::_exit(99);
      }
      work();
      ::_exit(0);
    }
    return marks_after(child, signal);
  }

  std::vector<CrashMark> marks_after(pid_t child, int signal) {
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    if (signal == 0) {
      CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 0));
    } else {
      CHECK((WIFSIGNALED(status) && WTERMSIG(status) == signal));
    }
    return decode_crash_marks(text());
  }

  std::string text() { return read_file(filesystem, path, kMiB).value(); }

  ScratchDirectory scratch;
  PosixFilesystem filesystem;
  Path path = scratch.path() / "CRASHES";
};

void write_where_nothing_is() {
  void* nothing = ::mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  *static_cast<volatile char*>(nothing) = 1;
}

// NOLINTNEXTLINE(misc-no-recursion)
int overflow_the_stack(int depth) {
  std::array<volatile char, 4096> frame{};
  frame[static_cast<std::size_t>(depth) % frame.size()] = 1;
  return depth < 0 ? 0 : overflow_the_stack(depth + 1) + frame[0];
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "p11_a_crash_names_the_segment_of_its_thread_and_kills_as_ever") {
  const auto now = static_cast<std::uint64_t>(::time(nullptr));
  const auto marks = marks_of(SIGSEGV, [] {
    std::thread([] {
      const WorkingOn working_on(kSegment);
      write_where_nothing_is();
    }).join();
  });
  REQUIRE(marks.size() == 1);
  CHECK(marks[0].signal == SIGSEGV);
  CHECK(marks[0].segment == kSegment);
  CHECK(marks[0].at_s >= now);
  CHECK(marks[0].at_s < now + 3600);
}

TEST_CASE_FIXTURE(Fixture,
                  "p11_each_of_the_five_signals_leaves_a_mark_and_a_later_one_is_appended") {
  std::size_t count = 0;
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) {
    CAPTURE(signal);
    const auto marks = marks_of(signal, [signal] {
      const WorkingOn working_on(kSegment);
      ::raise(signal);
    });
    count += 1;
    REQUIRE(marks.size() == count);
    CHECK(marks.back().signal == signal);
  }
  const auto marks = marks_of(SIGABRT, [] {
    const WorkingOn working_on(kSegment);
    std::abort();
  });
  CHECK(marks.size() == count + 1);
}

TEST_CASE_FIXTURE(Fixture, "p11_a_stack_that_overflows_leaves_a_mark") {
  const auto marks = marks_of(SIGSEGV, [] {
    std::thread([] {
      const WorkingOn working_on(kSegment);
      ::_exit(overflow_the_stack(0) == 0 ? 98 : 97);
    }).join();
  });
  REQUIRE(marks.size() == 1);
  CHECK(marks[0].segment == kSegment);
}

TEST_CASE_FIXTURE(Fixture, "p11_a_crash_outside_of_any_segment_leaves_no_mark") {
  const auto marks = marks_of(SIGSEGV, [] {
    { const WorkingOn working_on(kSegment); }
    std::thread bystander([] {
      const WorkingOn working_on(kSegment);
      ::pause();
    });
    write_where_nothing_is();
  });
  CHECK(marks.empty());
}

TEST_CASE_FIXTURE(Fixture,
                  "p11_a_signal_of_another_process_leaves_no_mark_and_neither_does_a_kill") {
  for (const int signal : {SIGKILL, SIGABRT, SIGSEGV}) {
    CAPTURE(signal);
    std::array<int, 2> ready{};
    REQUIRE(::pipe(ready.data()) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      become_a_process_that_crashes();
      const bool marking = mark_crashes_in(path).ok();
      const WorkingOn working_on(kSegment);
      const bool said = marking && ::write(ready[1], "r", 1) == 1;
      while (said) {
        ::pause();
      }
      ::_exit(99);
    }
    char byte = 0;
    REQUIRE(::read(ready[0], &byte, 1) == 1);
    ::kill(child, signal);
    CHECK(marks_after(child, signal).empty());
    ::close(ready[0]);
    ::close(ready[1]);
  }
}

TEST_CASE_FIXTURE(Fixture, "a_process_that_does_not_crash_leaves_an_empty_file_of_its_own") {
  CHECK(marks_of(0, [] { const WorkingOn working_on(kSegment); }).empty());
  CHECK(text().empty());
  CHECK(filesystem.info(path)->mode == 0600);
}

TEST_CASE_FIXTURE(Fixture, "marks_go_into_no_link_and_no_fifo") {
  REQUIRE(::symlink("elsewhere", path.c_str()) == 0);
  const auto linked = mark_crashes_in(path);
  REQUIRE_FALSE(linked);
  CHECK(linked.error().code == ELOOP);
  CHECK_FALSE(filesystem.info(scratch.path() / "elsewhere"));
  const Path fifo = scratch.path() / "fifo";
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  CHECK_FALSE(mark_crashes_in(fifo));
}

TEST_CASE("a_mark_is_a_line_that_a_person_can_read") {
  const auto line = encode_crash_mark({SIGABRT, kSegment, 1'700'000'000});
  const std::string_view text(line.data(), line.size());
  // The example of docs/spool_format.md.
  CHECK(text == "ABRT 0000000000000011-0000000000abcdef 001700000000 e19f9d52\n");
}

TEST_CASE("lines_that_are_torn_or_changed_are_left_out_and_no_other") {
  const auto line_of = [](const CrashMark& mark) {
    const auto line = encode_crash_mark(mark);
    return std::string(line.data(), line.size());
  };
  const CrashMark first{SIGSEGV, kSegment, 1'700'000'000};
  const CrashMark second{SIGBUS, {0x12, 7}, 1'700'000'001};
  const std::vector<CrashMark> both{first, second};
  CHECK(decode_crash_marks(line_of(first) + line_of(second)) == both);
  CHECK(decode_crash_marks("").empty());
  CHECK(decode_crash_marks(std::string(1000, '\0')).empty());
  for (std::size_t cut = 0; cut < kCrashMarkBytes; ++cut) {
    CAPTURE(cut);
    const std::string torn = line_of(first).substr(0, cut);
    CHECK(decode_crash_marks(torn).empty());
    CHECK(decode_crash_marks(line_of(first) + torn + line_of(second)) == both);
  }
  for (std::size_t bit = 0; bit < kCrashMarkBytes * 8; ++bit) {
    CAPTURE(bit);
    std::string changed = line_of(first);
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
    CHECK(decode_crash_marks(changed + line_of(second)) == std::vector<CrashMark>{second});
  }
}
