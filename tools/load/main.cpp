// sluice-load: sends events (or a file) over TCP as the access-control system does, and says what
// became of every connection.
// Exit: 0 every connection was closed by the server's FIN, 1 otherwise, 2 bad usage.
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <exception>
#include <fstream>
#include <sstream>

#include "common/base/result.h"
#include "load.h"
#include "options.h"

namespace {

std::atomic<bool> interrupted{false};

extern "C" void on_signal(int number) {
  interrupted = true;
  std::signal(number, SIG_DFL);  // a second one ends at once
}

void print_summary(const sluice::load::Options& options, const sluice::load::Load& load) {
  const sluice::load::Totals& totals = load.totals();
  const double seconds = load.elapsed().count();
  const double megabytes = static_cast<double>(totals.bytes) / 1e6;
  const auto number = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
  std::printf("sent %llu %s, %.1f MB in %.2f s: ", number(totals.events),
              options.file.empty() ? "events" : "copies of the file", megabytes, seconds);
  if (options.file.empty()) {
    std::printf("%.0f events/s, ", static_cast<double>(totals.events) / seconds);
  }
  std::printf("%.1f MB/s; connections: %llu closed by FIN, %llu by RST, %llu failed\n",
              megabytes / seconds, number(totals.closed_by_fin), number(totals.closed_by_reset),
              number(totals.failed));
}

int load_and_report(int argc, char** argv) {
  using namespace sluice::load;
  Options options;
  if (const auto exit_code = parse_options(argc, argv, options)) {
    return *exit_code;
  }
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);

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
  Load load(options, record, file);
  const bool ran = load.run(interrupted);
  if (record.is_open() && !record.close()) {
    std::fprintf(stderr, "%s: could not be written\n", options.record.c_str());
    return 1;
  }
  if (ran) {
    print_summary(options, load);
  }
  const Totals& totals = load.totals();
  if (!load.first_error().empty()) {
    std::fprintf(stderr, "%s:%u: %s\n", options.host.c_str(), options.port,
                 load.first_error().c_str());
  }
  return ran && totals.closed_by_reset + totals.failed == 0 ? 0 : 1;
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
