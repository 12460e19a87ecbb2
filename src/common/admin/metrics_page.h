// MetricsPage: one answer to a scrape, in Prometheus's text format 0.0.4. Made and filled when it
// is asked for: the counters themselves are the owners' atomics, so counting costs the hot path
// nothing. For one thread.
#pragma once

#include <prometheus/metric_family.h>

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice {

class MetricsPage {
 public:
  using Labels = std::vector<std::pair<std::string, std::string>>;

  // Samples of one name share the help of the first; every name has one type. Names end in their
  // unit, counters in _total.
  void counter(std::string_view name, std::string_view help, const Labels& labels, double value);
  void gauge(std::string_view name, std::string_view help, const Labels& labels, double value);

  // The families in the order in which they were begun.
  [[nodiscard]] std::string text() const;

 private:
  prometheus::ClientMetric& sample(std::string_view name, std::string_view help,
                                   prometheus::MetricType type, const Labels& labels);

  std::vector<prometheus::MetricFamily> families_;
  std::map<std::string, std::size_t, std::less<>> index_of_name_;
};

}  // namespace sluice
