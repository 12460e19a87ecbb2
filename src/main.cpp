// The command line: picks the command. Everything else is in src/commands.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <functional>
#include <iostream>
#include <string>

#include "commands/audit.h"
#include "commands/check.h"
#include "commands/config.h"
#include "commands/exit_code.h"
#include "commands/replay.h"
#include "commands/rotate.h"
#include "commands/run.h"
#include "commands/sign.h"
#include "commands/spool.h"
#include "commands/spool_export.h"
#include "commands/status.h"
#include "commands/version.h"
#include "common/config/config.h"
#include "common/platform/posix_filesystem.h"

namespace {

using sluice::Config;

// What the command line asked for.
struct Choice {
  std::string config_path;
  std::function<int(const Config&)> command;  // with the settings in effect
  std::function<int()> plain_command;         // without any
  bool markdown = false;                      // config
  bool json = false;                          // status
  double timeout_s = 60;                      // rotate
  std::string spool_dir;                      // spool; empty: SPOOL_DIR
  std::string segment;                        // spool cat; empty: all; spool export
  std::string export_folder = ".";            // spool export
  sluice::SignOptions sign;
  sluice::ReplayOptions replay;
};

void add_server_commands(CLI::App& app, Choice& choice) {
  const auto choose_run = [&choice] {
    choice.command = [&choice](const Config& config) {
      return sluice::run_command(config, choice.config_path);
    };
  };
  choose_run();
  app.add_subcommand("run", "serve until SIGTERM (the default)")->callback(choose_run);

  CLI::App* status = app.add_subcommand("status", "print what the running server is doing");
  status->add_flag("--json", choice.json, "print /status as it is");
  status->callback([&choice] {
    choice.command = [&choice](const Config& config) {
      return sluice::status_command(config, {choice.json});
    };
  });

  CLI::App* rotate = app.add_subcommand(
      "rotate", "seal what there is now, wait until it is uploaded, print the keys");
  rotate->add_option("--timeout", choice.timeout_s, "how long to wait, in seconds")
      ->check(CLI::Range(0.0, 86400.0))
      ->capture_default_str();
  rotate->callback([&choice] {
    choice.command = [&choice](const Config& config) {
      const std::chrono::duration<double> timeout(choice.timeout_s);
      return sluice::rotate_command(
          config, {std::chrono::duration_cast<std::chrono::milliseconds>(timeout)});
    };
  });
}

void add_settings_commands(CLI::App& app, Choice& choice) {
  CLI::App* config =
      app.add_subcommand("config", "print the settings in effect and where they come from");
  config->add_flag("--markdown", choice.markdown, "print docs/configuration.md instead");
  config->callback([&choice] {
    if (choice.markdown) {
      choice.plain_command = sluice::config_markdown_command;
    } else {
      choice.command = sluice::config_command;
    }
  });
  app.add_subcommand("check", "test settings, spool, disk, ports and store; exit 1 on a failure")
      ->callback([&choice] { choice.command = sluice::check_command; });
  app.add_subcommand("audit",
                     "compare the ledger with the store: lost, changed, doubled; exit 1 on any")
      ->callback([&choice] { choice.command = sluice::audit_command; });
  app.add_subcommand("version", "print the version")->callback([&choice] {
    choice.plain_command = sluice::version_command;
  });
}

using SpoolCommand = std::function<int(const std::string& spool_dir)>;

// A copy of a spool can be looked at without the settings of its server.
void choose_spool_command(Choice& choice, const SpoolCommand& command) {
  if (!choice.spool_dir.empty()) {
    choice.plain_command = [&choice, command] { return command(choice.spool_dir); };
    return;
  }
  choice.command = [command](const Config& config) { return command(config.spool_dir); };
}

void add_spool_commands(CLI::App& app, Choice& choice) {
  CLI::App* spool = app.add_subcommand("spool", "look into the spool; changes nothing");
  spool->require_subcommand(1);
  spool->add_option("--dir", choice.spool_dir, "the spool, in place of SPOOL_DIR");
  spool->add_subcommand("ls", "a line for each segment")->callback([&choice] {
    choose_spool_command(choice,
                         [](const std::string& dir) { return sluice::spool_ls(dir, std::cout); });
  });
  CLI::App* cat = spool->add_subcommand("cat", "the bytes of its events, a line feed after each");
  cat->add_option("segment", choice.segment,
                  "<num>-<uid> as ls prints it, or the path of a segment's file; all without one");
  cat->callback([&choice] {
    choose_spool_command(choice, [&choice](const std::string& dir) {
      return sluice::spool_cat(dir, choice.segment, std::cout);
    });
  });
  CLI::App* exported = spool->add_subcommand(
      "export", "a segment as _raw.xml and _raw.reasons.jsonl, which replay takes");
  exported->add_option("segment", choice.segment, "<num>-<uid>, also of one that was set aside")
      ->required()
      ->check([](const std::string& text) {
        return sluice::parse_segment_id(text) ? std::string() : "not <num>-<uid>: " + text;
      });
  exported->add_option("--to", choice.export_folder, "where to write them")
      ->type_name("FOLDER")
      ->capture_default_str();
  exported->callback([&choice] {
    choose_spool_command(choice, [&choice](const std::string& dir) {
      sluice::PosixFilesystem filesystem;
      return sluice::spool_export(
          filesystem, {dir, *sluice::parse_segment_id(choice.segment), choice.export_folder},
          std::cout);
    });
  });
  spool->add_subcommand("verify", "check every checksum")->callback([&choice] {
    choose_spool_command(
        choice, [](const std::string& dir) { return sluice::spool_verify(dir, std::cout); });
  });
}

void add_replay_command(CLI::App& app, Choice& choice) {
  sluice::ReplayOptions& options = choice.replay;
  CLI::App* replay = app.add_subcommand(
      "replay",
      "put quarantined pieces back into the spool of a server that is stopped; exit 1 where any is "
      "refused");
  replay
      ->add_option("source", options.sources,
                   "<num>-<uid> or a file of a segment that was set aside; a stored _raw.xml with "
                   "its _raw.reasons.jsonl beside it; a file of XML documents")
      ->type_name("SOURCE");
  replay->add_flag("--all-set-aside", options.all_set_aside,
                   "every segment in quarantine/ of the spool");
  replay->add_flag("--dry-run", options.dry_run, "only say what would be done");
  replay->add_flag("--again", options.again, "also what was replayed before: its events double");
  replay->callback([&choice] {
    choice.command = [&choice](const Config& config) {
      return sluice::replay_command(config, choice.replay);
    };
  });
}

void add_sign_command(CLI::App& app, Choice& choice) {
  sluice::SignOptions& options = choice.sign;
  CLI::App* sign = app.add_subcommand(
      "sign",
      "print what Signature Version 4 makes of a request; credentials are AWS_ACCESS_KEY_ID, "
      "AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN");
  sign->add_option("--request", options.request_path, "METHOD target HTTP/1.1, headers, body")
      ->type_name("FILE")
      ->required();
  sign->add_option("--region", options.region, "such as us-east-1")->required();
  sign->add_option("--service", options.service, "such as s3")->required();
  sign->add_option("--time", options.time, "2015-08-30T12:36:00Z; now without it")
      ->type_name("ISO8601");
  sign->add_flag("--no-normalize", options.no_normalize, "leave dots and slashes of the path");
  sign->add_flag("--s3", options.s3, "the rules of S3: path as it is, payload hash as a header");
  sign->add_flag("--sign-body", options.sign_body, "add x-amz-content-sha256");
  sign->add_flag("--omit-session-token", options.omit_session_token,
                 "the token is not signed and is added afterwards");
  CLI::Option* presign =
      sign->add_option("--presign", options.presign_seconds, "print a URL that is good for so long")
          ->type_name("SECONDS")
          ->check(CLI::Range(1, 604800));
  CLI::Option* chunked =
      sign->add_option("--chunked", options.chunk_bytes, "sign the body in chunks of this size")
          ->type_name("BYTES")
          ->check(
              CLI::Range(std::size_t{8192}, std::size_t{1} << 30U))  // S3 takes none below 8 KiB
          ->excludes(presign);
  sign->add_option("--trailer", options.trailers, "a header behind the chunks; can be repeated")
      ->type_name("NAME:VALUE")
      ->needs(chunked);
  sign->callback([&choice] {
    choice.plain_command = [&choice] { return sluice::sign_command(choice.sign); };
  });
}

int run_with_config(const Choice& choice) {
  const auto sources = sluice::read_config_sources(choice.config_path);
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
  return choice.command(*config);
}

int choose_and_run(int argc, char** argv) {
  Choice choice;
  CLI::App app(
      "Sluice: XML events from TCP sockets, durable on disk, into objects in S3 or a "
      "directory.\nSettings are environment variables: `sluice config` lists them.",
      "sluice");
  app.add_option("--config", choice.config_path, "JSON file of settings; the environment wins")
      ->type_name("FILE");
  app.require_subcommand(0, 1);
  app.fallthrough();
  add_server_commands(app, choice);
  add_settings_commands(app, choice);
  add_spool_commands(app, choice);
  add_replay_command(app, choice);
  add_sign_command(app, choice);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? sluice::kExitClean : sluice::kExitConfiguration;
  }
  return choice.plain_command ? choice.plain_command() : run_with_config(choice);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return choose_and_run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "sluice: %s\n", error.what());
    return sluice::kExitFailed;
  }
}
