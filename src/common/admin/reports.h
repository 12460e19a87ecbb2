// Reports: what /metrics and /status are made of. Whoever has something to show adds a function at
// start; it is called for each request, on one of the admin server's threads.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "common/admin/metrics_page.h"

namespace sluice {

class Reports {
 public:
  using Metrics = std::function<void(MetricsPage&)>;
  using Section = std::function<nlohmann::json()>;

  // Add everything before the server starts. The functions must be thread-safe, must not block,
  // and must outlive the server; neither secrets nor contents of events belong in them.
  void add_metrics(Metrics metrics) { metrics_.push_back(std::move(metrics)); }
  // A member of /status; sections keep their order.
  void add_section(std::string name, Section section) {
    sections_.emplace_back(std::move(name), std::move(section));
  }

  [[nodiscard]] std::string metrics_text() const;
  [[nodiscard]] std::string status_text() const;  // a JSON object

 private:
  std::vector<Metrics> metrics_;
  std::vector<std::pair<std::string, Section>> sections_;
};

}  // namespace sluice
