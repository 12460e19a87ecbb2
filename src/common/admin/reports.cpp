#include "common/admin/reports.h"

#include <nlohmann/json.hpp>

namespace sluice {

std::string Reports::metrics_text() const {
  MetricsPage page;
  for (const Metrics& metrics : metrics_) {
    metrics(page);
  }
  return page.text();
}

std::string Reports::status_text() const {
  nlohmann::ordered_json status = nlohmann::ordered_json::object();
  for (const auto& [name, section] : sections_) {
    status[name] = section();
  }
  return status.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace sluice
