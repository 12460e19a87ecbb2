// The command line: picks the command. Everything else is in src/commands.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <string>

#include "commands/check.h"
#include "commands/config.h"
#include "commands/exit_code.h"
#include "commands/rotate.h"
#include "commands/status.h"
#include "commands/version.h"
#include "common/config/config.h"

namespace {

using sluice::Config;

struct Options {
  std::string config_path;
  bool markdown = false;
  bool json = false;
  double rotate_timeout_s = 60;
};

using Command = int (*)(const Config& config, const Options& options);

int with_config(const Options& options, Command command) {
  auto sources = sluice::read_config_sources(options.config_path);
  if (!sources) {
    std::fprintf(stderr, "sluice: %s\n", sources.error().message.c_str());
    return sluice::kExitConfiguration;
  }
  const auto config = sluice::load_config(*sources);
  if (!config) {
    std::fprintf(stderr, "sluice: the configuration is wrong:\n%s\n",
                 config.error().message.c_str());
    return sluice::kExitConfiguration;
  }
  return command(*config, options);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app(
      "Sluice: XML events from TCP sockets, durable on disk, into objects in S3 or a "
      "directory.\nSettings are environment variables: `sluice config` lists them.",
      "sluice");
  app.add_option("--config", options.config_path, "JSON file of settings; the environment wins")
      ->type_name("FILE");
  app.require_subcommand(1);
  app.fallthrough();

  const CLI::App* version = app.add_subcommand("version", "print the version");
  CLI::App* config =
      app.add_subcommand("config", "print the settings in effect and where they come from");
  config->add_flag("--markdown", options.markdown, "print docs/configuration.md instead");
  const CLI::App* check =
      app.add_subcommand("check", "test settings, spool, disk and store; exit code 1 on a failure");
  CLI::App* status = app.add_subcommand("status", "print what the running server is doing");
  status->add_flag("--json", options.json, "print /status as it is");
  CLI::App* rotate = app.add_subcommand(
      "rotate", "seal what there is now, wait until it is uploaded, print the keys");
  rotate->add_option("--timeout", options.rotate_timeout_s, "how long to wait, in seconds")
      ->check(CLI::Range(0.0, 86400.0))
      ->capture_default_str();

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? sluice::kExitClean : sluice::kExitConfiguration;
  }

  if (version->parsed()) {
    return sluice::version_command();
  }
  if (config->parsed() && options.markdown) {
    return sluice::config_markdown_command();
  }
  Command command = nullptr;
  if (config->parsed()) {
    command = [](const Config& loaded, const Options&) { return sluice::config_command(loaded); };
  } else if (check->parsed()) {
    command = [](const Config& loaded, const Options&) { return sluice::check_command(loaded); };
  } else if (status->parsed()) {
    command = [](const Config& loaded, const Options& given) {
      return sluice::status_command(loaded, {given.json});
    };
  } else if (rotate->parsed()) {
    command = [](const Config& loaded, const Options& given) {
      const std::chrono::duration<double> timeout(given.rotate_timeout_s);
      return sluice::rotate_command(
          loaded, {std::chrono::duration_cast<std::chrono::milliseconds>(timeout)});
    };
  }
  return with_config(options, command);
}
