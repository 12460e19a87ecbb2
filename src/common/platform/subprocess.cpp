#include "common/platform/subprocess.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <optional>

#include "common/base/check.h"
#include "common/platform/unique_fd.h"

namespace sluice {
namespace {

// How often a stop is looked for while the command is silent.
constexpr std::chrono::milliseconds kTurn{50};

using Time = std::chrono::steady_clock::time_point;

Error failed(const std::string& what, int code) {
  return transient(what + ": " + std::generic_category().message(code), code);
}

// The child has a process group of its own, no blocked signals and the default answers to them:
// ours are blocked in every thread.
Result<pid_t> spawn(const std::string& command, int output) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  CHECK_THAT(::posix_spawn_file_actions_init(&actions) == 0);
  CHECK_THAT(::posix_spawnattr_init(&attributes) == 0);
  ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, output, 1);
  ::posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  ::posix_spawnattr_setflags(
      &attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  std::string shell = "sh";
  std::string flag = "-c";
  std::string text = command;
  const std::array<char*, 4> argv{shell.data(), flag.data(), text.data(), nullptr};
  pid_t pid = -1;
  const int failure = ::posix_spawn(&pid, "/bin/sh", &actions, &attributes, argv.data(), environ);
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  if (failure != 0) {
    return failed("cannot be started", failure);
  }
  return pid;
}

class Running {
 public:
  Running(pid_t pid, UniqueFd output, const std::stop_token& stop, Time deadline)
      : pid_(pid), output_(std::move(output)), stop_(stop), deadline_(deadline) {}
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running() {
    if (pid_ > 0) {
      ::kill(-pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
  }

  Result<std::string> read_all(std::size_t bytes_max) {
    std::string text;
    std::array<char, 4096> part{};
    for (;;) {
      if (const auto error = out_of_time()) {
        return *error;
      }
      pollfd wanted{output_.get(), POLLIN, 0};
      if (::poll(&wanted, 1, static_cast<int>(kTurn.count())) <= 0) {
        continue;
      }
      const ssize_t got = ::read(output_.get(), part.data(), part.size());
      if (got == 0) {
        return text;
      }
      if (got > 0) {
        text.append(part.data(), static_cast<std::size_t>(got));
      } else if (errno != EINTR) {
        return failed("cannot be read", errno);
      }
      if (text.size() > bytes_max) {
        return transient("prints more than " + std::to_string(bytes_max) + " bytes");
      }
    }
  }

  // After its output has ended.
  Status wait() {
    for (;;) {
      int how = 0;
      const pid_t ended = ::waitpid(pid_, &how, WNOHANG);
      if (ended == pid_) {
        pid_ = -1;
        return WIFEXITED(how) && WEXITSTATUS(how) == 0
                   ? Status()
                   : transient(WIFEXITED(how)
                                   ? "ends with exit code " + std::to_string(WEXITSTATUS(how))
                                   : "is ended by signal " + std::to_string(WTERMSIG(how)));
      }
      if (const auto error = out_of_time()) {
        return *error;
      }
      ::poll(nullptr, 0, 5);
    }
  }

 private:
  [[nodiscard]] std::optional<Error> out_of_time() const {
    if (stop_.stop_requested()) {
      return cancelled();
    }
    if (std::chrono::steady_clock::now() >= deadline_) {
      return transient("does not end in time");
    }
    return std::nullopt;
  }

  pid_t pid_;
  UniqueFd output_;
  const std::stop_token& stop_;
  const Time deadline_;
};

}  // namespace

Result<std::string> run_subprocess(const Subprocess& subprocess, const std::stop_token& stop) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return failed("has no pipe", errno);
  }
  UniqueFd output(ends[0]);
  UniqueFd input(ends[1]);
  const Result<pid_t> pid = spawn(subprocess.command, input.get());
  if (!pid) {
    return pid.error();
  }
  input.reset();
  Running running(*pid, std::move(output), stop,
                  std::chrono::steady_clock::now() + subprocess.deadline);
  Result<std::string> text = running.read_all(subprocess.output_bytes_max);
  if (!text) {
    return text;
  }
  if (Status ended = running.wait(); !ended) {
    return ended.error();
  }
  return text;
}

}  // namespace sluice
