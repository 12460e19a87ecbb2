#include "fakes/fake_s3_server.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <optional>
#include <stdexcept>

#include "common/http/curl_client.h"

namespace sluice {

PythonServer::PythonServer(const std::string& script, std::vector<std::string> arguments,
                           std::string ca_file)
    : ca_file_(std::move(ca_file)) {
  arguments.insert(arguments.begin(),
                   {"python3", SLUICE_SOURCE_ROOT "/tests/fakes/" + script, "--stdin-lifeline"});
  std::vector<char*> argv;
  argv.reserve(arguments.size() + 1);
  for (std::string& argument : arguments) {
    argv.push_back(argument.data());
  }
  argv.push_back(nullptr);
  std::array<int, 2> in{};
  std::array<int, 2> out{};
  if (::pipe2(in.data(), O_CLOEXEC) != 0 || ::pipe2(out.data(), O_CLOEXEC) != 0) {
    throw std::runtime_error("pipe2");
  }
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, in[0], 0);
  ::posix_spawn_file_actions_adddup2(&actions, out[1], 1);
  const int failure = ::posix_spawnp(&pid_, "python3", &actions, nullptr, argv.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(in[0]);
  ::close(out[1]);
  lifeline_ = in[1];
  std::string line;
  char c = 0;
  while (failure == 0 && ::read(out[0], &c, 1) == 1 && c != '\n') {
    line += c;
  }
  ::close(out[0]);
  if (line.empty()) {
    throw std::runtime_error(script + " did not start");
  }
  port_ = std::stoi(line);
}

PythonServer::~PythonServer() {
  ::close(lifeline_);
  ::kill(pid_, SIGTERM);
  ::waitpid(pid_, nullptr, 0);
}

void FakeS3Server::deny(const std::string& prefix, bool denied) {
  static_cast<void>(control("deny_prefix", {{"prefix", prefix}, {"deny", denied}}));
}

std::size_t FakeS3Server::overwrites() {
  std::size_t count = 0;
  for (const auto& entry : log()) {
    count += entry.at("overwrite").get<bool>() ? 1 : 0;
  }
  return count;
}

nlohmann::json PythonServer::control(const std::string& name, const nlohmann::json& body) {
  HttpRequest request{.method = body.is_null() ? "GET" : "POST",
                      .url = url() + "/_control/" + name};
  request.limits.body_bytes_max = 256 * kMiB;
  const std::string text = body.dump();
  if (!body.is_null()) {
    request.body_bytes = text.size();
    request.body = [&text](std::uint64_t begin, std::span<std::byte> into) {
      return text.copy(reinterpret_cast<char*>(into.data()), into.size(), begin);
    };
  }
  CurlClient client({.ca_file = ca_file()});
  std::optional<HttpOutcome> outcome;
  client.start(std::move(request), [&](HttpOutcome given) { outcome = std::move(given); });
  while (!outcome) {
    client.poll(MonotonicTime::max());
  }
  if (outcome->error || outcome->response.status != 200) {
    throw std::runtime_error("control " + name + " failed");
  }
  return nlohmann::json::parse(outcome->response.body);
}

}  // namespace sluice
