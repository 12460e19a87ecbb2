#include "commands/config.h"

#include <cstdio>

#include "common/config/config_report.h"

namespace sluice {

int config_command(const Config& config) {
  std::fputs(config_table(config).c_str(), stdout);
  for (const std::string& warning : config.warnings) {
    std::fprintf(stderr, "warning: %s\n", warning.c_str());
  }
  return 0;
}

int config_markdown_command() {
  std::fputs(config_markdown().c_str(), stdout);
  return 0;
}

}  // namespace sluice
