#include "common/admin/metrics_page.h"

#include <prometheus/text_serializer.h>

#include <sstream>

#include "common/base/check.h"

namespace sluice {

void MetricsPage::counter(std::string_view name, std::string_view help, const Labels& labels,
                          double value) {
  sample(name, help, prometheus::MetricType::Counter, labels).counter.value = value;
}

void MetricsPage::gauge(std::string_view name, std::string_view help, const Labels& labels,
                        double value) {
  sample(name, help, prometheus::MetricType::Gauge, labels).gauge.value = value;
}

std::string MetricsPage::text() const {
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, families_);
  return out.str();
}

prometheus::ClientMetric& MetricsPage::sample(std::string_view name, std::string_view help,
                                              prometheus::MetricType type, const Labels& labels) {
  auto found = index_of_name_.find(name);
  if (found == index_of_name_.end()) {
    found = index_of_name_.emplace(std::string(name), families_.size()).first;
    families_.push_back({std::string(name), std::string(help), type, {}});
  }
  prometheus::MetricFamily& family = families_[found->second];
  CHECK_THAT(family.type == type);
  prometheus::ClientMetric& metric = family.metric.emplace_back();
  for (const auto& [label, value] : labels) {
    metric.label.push_back({label, value});
  }
  return metric;
}

}  // namespace sluice
