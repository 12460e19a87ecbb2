// `sluice config`: what is in effect and where it comes from; `--markdown`: docs/configuration.md.
#pragma once

#include "common/config/config.h"

namespace sluice {

int config_command(const Config& config);
int config_markdown_command();

}  // namespace sluice
