// sluice-load: sends events (or a file) as the access-control system does, log lines or rpc
// requests over TCP or TLS, and says what became of every connection and what was answered. Exit: 0
// every connection was closed by the server's FIN and every answer was as expected, 1 otherwise, 2
// bad usage.
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <exception>
#include <fstream>
#include <optional>
#include <sstream>

#include "common/base/result.h"
#include "load.h"
#include "options.h"
#include "summary.h"
#include "token_line.h"

namespace {

std::atomic<bool> interrupted{false};

extern "C" void on_signal(int number) {
  interrupted = true;
  std::signal(number, SIG_DFL);  // a second one ends at once
}

sluice::Status read_credentials(const sluice::load::Options& options,
                                std::optional<sluice::load::TlsClient>& tls,
                                std::string& token_line) {
  if (options.tls) {
    auto loaded = sluice::load::TlsClient::load(options);
    if (!loaded) {
      return loaded.status();
    }
    tls.emplace(std::move(*loaded));
  }
  if (!options.token.empty()) {
    auto line = sluice::load::read_token_line(options.token);
    if (!line) {
      return line.status();
    }
    token_line = std::move(*line);
  }
  return {};
}

int load_and_report(int argc, char** argv) {
  using namespace sluice::load;
  Options options;
  if (const auto exit_code = parse_options(argc, argv, options)) {
    return *exit_code;
  }
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
  std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes without MSG_NOSIGNAL

  std::string file;
  if (!options.file.empty()) {
    std::ifstream in(options.file, std::ios::binary);
    std::ostringstream content;
    content << in.rdbuf();
    file = std::move(content).str();
    if (!in || file.empty()) {
      std::fprintf(stderr, "%s: empty or unreadable\n", options.file.c_str());
      return 1;
    }
  }
  Record record;
  if (!options.record.empty() && !record.open(options.record)) {
    std::fprintf(stderr, "%s\n", sluice::system_error(options.record, errno).message.c_str());
    return 1;
  }
  std::optional<TlsClient> tls;
  std::string token_line;
  if (const sluice::Status status = read_credentials(options, tls, token_line); !status) {
    std::fprintf(stderr, "%s\n", status.error().message.c_str());
    return 1;
  }
  Load load(options, {record, file, tls ? &*tls : nullptr, token_line});
  const bool ran = load.run(interrupted);
  if (record.is_open() && !record.close()) {
    std::fprintf(stderr, "%s: could not be written\n", options.record.c_str());
    return 1;
  }
  if (ran) {
    std::fputs((options.json ? summary_json(options, load) : summary_text(options, load)).c_str(),
               stdout);
  }
  const Totals& totals = load.totals();
  if (!load.first_error().empty()) {
    std::fprintf(stderr, "%s:%u: %s\n", options.host.c_str(), options.port,
                 load.first_error().c_str());
  }
  const AnswerTotals& answers = load.answers();
  const auto faults = totals.closed_by_reset + totals.failed + answers.others + answers.missing;
  return ran && faults == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return load_and_report(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "sluice-load: %s\n", error.what());
    return 1;
  }
}
