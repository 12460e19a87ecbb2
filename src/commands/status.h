// `sluice status`: the running server's /status as a summary for people, or as it is.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "common/config/config.h"

namespace sluice {

struct StatusOptions {
  bool json = false;
};

// 0; 1 where no server answers.
int status_command(const Config& config, const StatusOptions& options);

// A few lines. Leaves out what a status of another version does not have. Pure.
std::string status_summary(const nlohmann::json& status);

}  // namespace sluice
