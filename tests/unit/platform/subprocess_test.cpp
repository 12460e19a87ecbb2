#include "common/platform/subprocess.h"

#include <doctest/doctest.h>

#include <csignal>
#include <fstream>
#include <thread>

#include "common/platform/linked_file.h"
#include "common/platform/posix_filesystem.h"
#include "scratch_directory.h"

using namespace sluice;
using std::chrono::milliseconds;

namespace {

Result<std::string> run(const std::string& command, milliseconds deadline = milliseconds(60'000)) {
  return run_subprocess({.command = command, .deadline = deadline, .output_bytes_max = 1000}, {});
}

std::string error_of(const Result<std::string>& result) {
  return result ? std::string() : result.error().message;
}

bool exists(pid_t pid) { return ::kill(pid, 0) == 0; }

}  // namespace

TEST_CASE("a_command_gives_what_it_prints_and_has_an_empty_input") {
  const auto output = run("echo \"one  $((1 + 1))\"; cat; echo canary >&2");
  REQUIRE(output);
  CHECK(*output == "one  2\n");
}

TEST_CASE("how_a_command_fails_is_said_and_never_what_it_wrote") {
  CHECK(error_of(run("echo canary; echo canary >&2; exit 3")) == "ends with exit code 3");
  CHECK(error_of(run("kill -9 $$")) == "is ended by signal 9");
  CHECK(error_of(run("/no/such/program")) == "ends with exit code 127");
  CHECK(error_of(run("yes canary")) == "prints more than 1000 bytes");
}

TEST_CASE("s16_a_command_that_does_not_end_is_killed_with_its_children") {
  const ScratchDirectory scratch;
  const std::string file = scratch.path() / "pid";
  const auto result = run("sleep 1000 & echo $! > '" + file + "'; wait", milliseconds(300));
  CHECK(error_of(result) == "does not end in time");
  pid_t child = 0;
  std::ifstream(file) >> child;
  REQUIRE(child > 0);
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (exists(child) && std::chrono::steady_clock::now() < until) {
    std::this_thread::yield();  // its new parent has to reap it
    std::ifstream stat("/proc/" + std::to_string(child) + "/stat");
    const std::string text{std::istreambuf_iterator<char>(stat), {}};
    if (text.find(") Z ") != std::string::npos) {
      return;  // dead; nobody here reaps
    }
  }
  CHECK_FALSE(exists(child));
}

TEST_CASE("a_command_ends_when_the_process_does") {
  std::stop_source stop;
  std::jthread stopper([&stop] { stop.request_stop(); });
  const auto result = run_subprocess({.command = "sleep 1000"}, stop.get_token());
  REQUIRE_FALSE(result);
  CHECK(result.error().kind == ErrorKind::cancelled);
}

TEST_CASE("a_secret_is_read_through_the_links_that_mount_it") {
  const ScratchDirectory scratch;
  PosixFilesystem filesystem;
  const auto& path = scratch.path();
  std::filesystem::create_directory(path / "..2026");
  std::ofstream(path / "..2026" / "token") << "secret";
  std::filesystem::create_symlink("..2026", path / "..data");
  std::filesystem::create_symlink("..data/token", path / "token");
  CHECK(read_linked_file(filesystem, path / "token", 100).value() == "secret");
  CHECK(read_linked_file(filesystem, path / "none", 100).error().code == ENOENT);
  CHECK(read_linked_file(filesystem, path / "token", 3).error().code == EFBIG);
  CHECK_FALSE(read_linked_file(filesystem, path, 100));
}
